import { Writable } from 'node:stream';
import pino from 'pino';
import { afterAll, describe, expect, test } from 'vitest';
import { startApi } from '../../apps/api/src/server.ts';
import { startClientThread } from '../support/client-thread.ts';
import { ACTING_HANDLER, makeHandlerModels } from '../support/handler-models.ts';
import { longestTurnMs } from '../support/longest-turn.ts';
import { useMillrace } from '../support/millrace.ts';

let remove = async () => {};
const millrace = useMillrace(async () => {
  const folder = await makeHandlerModels({ acting: ACTING_HANDLER });
  remove = folder.remove;
  return { modelsDir: folder.dir, models: ['acting'], env: { HANDLER_TIMEOUT_MS: '500' } };
});
const client = startClientThread();
afterAll(async () => {
  await client.close();
  await remove();
});

const wait = { prefer: 'wait=30' };

test('a canonicalize that never returns fails its own request; the API and other requests continue', async () => {
  const stuck = millrace.predict('acting', { input: { x: 1, act: 'spin' } });
  expect((await millrace.request('/healthz')).status).toBe(200);
  expect((await millrace.predict('acting', { input: { x: 2 } }, wait)).body).toMatchObject({ status: 'succeeded' });
  const { status, body } = await stuck;
  expect({ status, ...body }).toMatchObject({
    status: 500,
    code: 'handler_timeout',
    retryable: false,
    // On a busy machine the thread can get too little processor time for the first limit.
    detail: expect.stringMatching(/of version 1 of model 'acting' took too long: (waited )?longer than \d+ ms\.$/),
  });
});

test('a canonicalize that throws: the problem names the model and is not retryable, and the log has the stack', async () => {
  const lines: string[] = [];
  const sink = new Writable({
    write(chunk, _, done) {
      lines.push(String(chunk));
      done();
    },
  });
  const api = await startApi(millrace.config, pino({ level: 'error' }, sink));
  const response = await fetch(`${api.url}/v1/models/acting/predictions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ input: { x: 1, act: 'throw' } }),
  });
  const body = await response.json();
  await api.close(5_000);
  expect(body).toMatchObject({
    status: 500,
    code: 'handler_failed',
    retryable: false,
    detail: expect.stringMatching(
      /^canonicalize in the handler of version 1 of model 'acting' failed at handler\.ts:9:\d+: there is no such thing$/,
    ),
    errors: [{ in: 'body', pointer: '/input', message: expect.stringContaining('handler.ts:9') }],
  });
  const logged = lines.map((line) => JSON.parse(line)).find(({ msg }) => msg === 'canonicalize of the handler failed');
  expect(logged).toMatchObject({ model: 'acting', version: '1', err: { stack: expect.stringContaining('at act') } });
});

test.each(['exit', 'nan'])(
  'a canonicalize that misbehaves (%s) fails its request, and the next request succeeds',
  async (act) => {
    const failed = await millrace.predict('acting', { input: { x: 3, act } });
    expect(failed.body).toMatchObject({ code: 'handler_failed' });
    expect((await millrace.predict('acting', { input: { x: 3 } }, wait)).body).toMatchObject({ status: 'succeeded' });
  },
);

test('a request reports the faults of all of its inputs at once, to a hundred', async () => {
  const inputs = Array.from({ length: 300 }, (_, at) => (at % 2 === 0 ? { x: at } : { x: 'no', act: 1 }));
  const { status, body } = await millrace.predict('acting', { inputs });
  expect(status).toBe(400);
  expect(body.errors).toHaveLength(100);
  expect(body.errors[99]).toMatchObject({ pointer: '/inputs/99/act' });
  expect(body.detail).toContain('150 of the inputs are invalid');
});

describe('a canonicalize that takes long', () => {
  test('holds no turn of the event loop', async () => {
    const inputs = Array.from({ length: 20 }, (_, x) => ({ x, act: 'busy60' }));
    const body = JSON.stringify({ inputs });
    const post = () => client.post(`${millrace.url}/v1/models/acting/predictions`, body);
    expect(await longestTurnMs(post)).toBeLessThan(50);
  });
});
