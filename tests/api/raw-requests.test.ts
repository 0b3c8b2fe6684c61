import { afterAll, expect, test } from 'vitest';
import { useMillrace } from '../support/millrace.ts';
import { startRawClientThread } from '../support/raw-client-thread.ts';

const MODEL = 'drug-interaction-similarity';
const millrace = useMillrace({ models: [MODEL], env: { REQUEST_TIMEOUT_MS: '1000' } });
const client = startRawClientThread();
afterAll(() => client.close());
const send = (text: string) => client.send(millrace.url, text);

const HOST = 'host: x\r\n';
const CHUNKED = `POST /v1/webhooks HTTP/1.1\r\n${HOST}content-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n`;
const WITH_BODY = `POST /v1/models/${MODEL}/predictions HTTP/1.1\r\n${HOST}content-type: application/json\r\n`;

test.each([
  ['no HTTP', 'what?\r\n\r\n', 400, 'invalid_request'],
  ['an unknown version', `GET / HTTP/9.9\r\n${HOST}\r\n`, 400, 'invalid_request'],
  ['an unknown method', `BREW / HTTP/1.1\r\n${HOST}\r\n`, 400, 'invalid_request'],
  ['no Host', 'GET /healthz HTTP/1.1\r\nconnection: close\r\n\r\n', 400, 'invalid_request'],
  ['no Host at an unknown path', 'GET /nothing HTTP/1.1\r\nconnection: close\r\n\r\n', 400, 'invalid_request'],
  ['a header without a name', `GET / HTTP/1.1\r\n${HOST}: y\r\n\r\n`, 400, 'invalid_request'],
  ['a length that is no number', `${WITH_BODY}content-length: x\r\n\r\n`, 400, 'invalid_request'],
  ['two lengths', `${WITH_BODY}content-length: 1\r\ncontent-length: 2\r\n\r\n`, 400, 'invalid_request'],
  [
    'a length and chunks',
    `${WITH_BODY}content-length: 1\r\ntransfer-encoding: chunked\r\n\r\n`,
    400,
    'invalid_request',
  ],
  ['a bad chunk', `${CHUNKED}zz\r\n`, 400, 'invalid_request'],
  ['long chunk extensions', `${CHUNKED}1;${'x'.repeat(20_000)}\r\n{\r\n`, 413, 'payload_too_large'],
  ['too slow a head', 'GET / HTTP/1.1\r\n', 408, 'request_timeout'],
  ['too slow a body', `${WITH_BODY}content-length: 9\r\n\r\n{`, 408, 'request_timeout'],
  ['an unknown expectation', `${WITH_BODY}expect: tea\r\nconnection: close\r\n\r\n`, 417, 'expectation_failed'],
  ['a long header', `GET / HTTP/1.1\r\n${HOST}x: ${'y'.repeat(17_000)}\r\n\r\n`, 431, 'headers_too_large'],
  ['a long target', `GET /${'y'.repeat(17_000)} HTTP/1.1\r\n${HOST}\r\n`, 431, 'headers_too_large'],
])('a request with %s is refused with a problem', { timeout: 180_000 }, async (_, text, status, code) => {
  const [head = '', body = ''] = (await send(text)).split('\r\n\r\n');
  expect(head).toMatch(new RegExp(`^HTTP/1.1 ${status} `));
  expect(head.toLowerCase()).toContain('content-type: application/problem+json');
  expect(head.toLowerCase()).toContain('x-content-type-options: nosniff');
  expect(JSON.parse(body)).toMatchObject({ status, code });
});

test('bytes that are no request get no response while the request before them waits', async () => {
  await millrace.stopWorkers('stop');
  const body = '{"input":{"similarities":[[0.9,0.2,0.3,0.4,0.5]]}}';
  const response = await send(
    `${WITH_BODY}prefer: wait=30\r\ncontent-length: ${body.length}\r\n\r\n${body}what?\r\n\r\n`,
  );
  expect(response).toBe('');
});
