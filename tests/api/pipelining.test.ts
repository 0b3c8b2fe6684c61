import { afterAll, expect, test } from 'vitest';
import { longestTurnMs } from '../support/longest-turn.ts';
import { useMillrace } from '../support/millrace.ts';
import { startRawClientThread } from '../support/raw-client-thread.ts';

const MODEL = 'drug-interaction-similarity';
const millrace = useMillrace({ models: [MODEL] });
const client = startRawClientThread();
afterAll(() => client.close());
const send = (text: string) => client.send(millrace.url, text);

const HOST = 'host: x\r\n';
const WITH_BODY = `POST /v1/models/${MODEL}/predictions HTTP/1.1\r\n${HOST}content-type: application/json\r\n`;
const COUNT = 10_000;
const body = '{"input":{"similarities":[[0.1,0.2,0.3,0.4,0.5]]}}';

test.each([
  ['liveness', `GET /healthz HTTP/1.1\r\n${HOST}\r\n`, 200],
  ['nothing', `GET /nothing HTTP/1.1\r\n${HOST}\r\n`, 404],
  ['no host', 'GET / HTTP/1.1\r\n\r\n', 400],
  ['an expectation', `GET / HTTP/1.1\r\n${HOST}expect: x\r\n\r\n`, 417],
  ['a stored result', `${WITH_BODY}content-length: ${body.length}\r\n\r\n${body}`, 200],
])('10,000 pipelined requests for %s: no turn takes 50 ms', { timeout: 180_000 }, async (_, request, status) => {
  await millrace.predict(MODEL, body, { prefer: 'wait=10' });
  let response = '';
  const text = `${request.repeat(COUNT)}GET /healthz HTTP/1.1\r\n${HOST}connection: close\r\n\r\n`;
  let least = Number.POSITIVE_INFINITY;
  for (let n = 0; n < 3; n += 1)
    least = Math.min(
      least,
      await longestTurnMs(async () => {
        response = await send(text);
      }),
    );
  expect(response.split(`HTTP/1.1 ${status} `).length - 1).toBeGreaterThanOrEqual(COUNT);
  expect(least).toBeLessThan(50);
});
