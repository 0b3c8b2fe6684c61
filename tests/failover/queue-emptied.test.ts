/** Tests callers that wait while the queue Redis loses all its data. Their predictions are not in the ledger. */

import { problem } from '@millrace/shared/errors';
import { insertPromises, recordTerminal } from '@millrace/shared/ledger/ledger';
import { createPool } from '@millrace/shared/postgres/db';
import { isPredictionId } from '@millrace/shared/predictions/ids';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { promiseRow, terminalRow } from '../ledger/rows.ts';
import { useMillrace } from '../support/millrace.ts';
import { makeModelFolder } from '../support/model-folder.ts';
import { startOwnRedis } from '../support/own-redis.ts';

const MODEL = 'rows';
const ERROR = JSON.stringify(problem('internal', 'The end in the ledger.'));
let redis: Redis;
let close = async () => {};
const millrace = useMillrace(async () => {
  const [server, folder] = await Promise.all([startOwnRedis([]), makeModelFolder([MODEL])]);
  redis = new Redis(server.url);
  close = async () => {
    redis.disconnect();
    await server.stop();
    await folder.remove();
  };
  const env = { REDIS_URL: server.url, REDIS_CLUSTER: 'false' };
  return { modelsDir: folder.dir, models: [MODEL], env };
});
const db = () =>
  createPool({
    databaseUrl: millrace.env.DATABASE_URL as string,
    max: 2,
    statementTimeoutMs: 5_000,
    applicationName: 'test',
    onError: () => {},
  });
let pool: ReturnType<typeof db>;
beforeAll(() => {
  pool = db();
});
// Each test submits while no worker runs, and finds no prediction of an earlier test.
beforeEach(async () => {
  await millrace.stopWorkers('stop');
  await redis.flushall();
});
afterAll(async () => {
  await pool.end();
  await close();
});

/** Ids of the predictions in Redis, when Redis has `count` predictions. */
async function waitingIds(count: number): Promise<string[]> {
  let ids: string[] = [];
  await expect
    .poll(async () => {
      const keys = await redis.keys(`${millrace.env.KEY_PREFIX}:*:p:*`);
      ids = keys.map((key) => key.slice(-36)).filter(isPredictionId);
      return ids.length;
    })
    .toBe(count);
  return ids;
}

const predict = (x: number, wait = 40) =>
  millrace.predict(MODEL, { input: { x: [[x, 1]] } }, { prefer: `wait=${wait}`, 'cache-control': 'no-store' });

test('waiting callers get their results within their wait', async () => {
  // Two requests have equal inputs, so that one follows the other. A /v2 request has no promise.
  const infer = { inputs: [{ name: 'x', shape: [1, 2], datatype: 'FP32', data: [4, 1] }] };
  const shared = () => millrace.predict(MODEL, { input: { x: [[3, 1]] } }, { prefer: 'wait=40' });
  const requests = [predict(1), predict(2), shared(), shared()];
  const inferred = fetch(`${millrace.url}/v2/models/${MODEL}/infer`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(infer),
  });
  await waitingIds(5);
  await redis.flushall();
  await millrace.startWorker();
  const responses = await Promise.all(requests);
  expect(responses.map(({ status, body }) => [status, body.status])).toEqual(
    Array.from({ length: 4 }, () => [200, 'succeeded']),
  );
  expect((await inferred).status).toBe(200);
  // Each prediction is recorded once, as any other end.
  await expect.poll(async () => (await millrace.request('/v1/predictions?status=succeeded')).body.data?.length).toBe(5);
});

test('waiting callers get their results after a second loss too, or a promise when the wait ends', async () => {
  const long = predict(5);
  const short = predict(6, 8);
  const [first] = await waitingIds(2);
  await redis.flushall();
  // Both predictions are in Redis again, under their ids.
  expect(await waitingIds(2)).toContain(first);
  await redis.flushall();
  await waitingIds(2);
  const promised = await short;
  expect(promised.status).toBe(202);
  await millrace.startWorker();
  expect((await long).status).toBe(200);
  await expect
    .poll(async () => (await millrace.request(`/v1/predictions/${promised.body.id}?wait=5`)).body.status)
    .toBe('succeeded');
});

test('waiting callers get an end that the ledger has, and the prediction does not run again', async () => {
  const request = predict(7);
  const [id = ''] = await waitingIds(1);
  const row = promiseRow({ id, model: MODEL, createdAt: Date.now(), expiresAt: null });
  await insertPromises(pool, [row]);
  await recordTerminal(pool, [terminalRow({ id, model: MODEL, status: 'failed', result: ERROR })]);
  await redis.flushall();
  const { status, body } = await request;
  expect([status, body.status]).toEqual([200, 'failed']);
  expect(await redis.exists(millrace.keys.live(id))).toBe(0);
});
