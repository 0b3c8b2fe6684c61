import { randomUUID } from 'node:crypto';
import { createPool, type Pool } from '@millrace/shared/postgres/db';
import { type Connection, connectRedis } from '@millrace/shared/redis/connection';
import pino from 'pino';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type RunningApi, startApi } from '../../apps/api/src/server.ts';
import { startStallingProxy } from '../postgres/stalling-proxy.ts';
import { useMillrace } from '../support/millrace.ts';
import { rawId } from '../support/raw-id.ts';
import { testPrefix } from '../support/test-prefix.ts';
import { keysOf } from '../support/test-redis.ts';

// Both APIs share the ledger: the worker must not restore the promises of the API under test.
const millrace = useMillrace({ models: ['drug-interaction'], env: { RECONCILE_MS: '3600000' } });
let proxy: Awaited<ReturnType<typeof startStallingProxy>>;
let redisProxy: typeof proxy;
let redis: Connection;
const keyPrefix = testPrefix();
let api: RunningApi;
let pool: Pool;
beforeAll(async () => {
  const { config } = millrace;
  proxy = await startStallingProxy(config.databaseUrl);
  // The API has its own key prefix in Redis, so no worker takes its jobs.
  redisProxy = await startStallingProxy(config.redisUrl);
  redis = connectRedis(config.redisUrl, 'blocking');
  const own = { ...config, databaseUrl: proxy.url, redisUrl: redisProxy.url, keyPrefix, storeTimeoutMs: 1_000 };
  api = await startApi(own, pino({ level: 'silent' }));
  pool = createPool({ databaseUrl: config.databaseUrl, max: 1, statementTimeoutMs: 5_000, applicationName: 'late' });
});
afterAll(async () => {
  proxy.resume();
  redisProxy.resume();
  await api.close(5_000);
  await proxy.close();
  await redisProxy.close();
  redis.disconnect();
  await pool.end();
});

async function predict(key: string, headers: Record<string, string> = {}, drug_a = 'Warfarin') {
  const response = await fetch(`${api.url}/v1/models/drug-interaction/predictions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', 'idempotency-key': key, ...headers },
    body: JSON.stringify({ input: { drug_a, drug_b: 'Fluconazole' } }),
  });
  const body = (await response.json()) as { id?: string; code?: string; prediction_id?: string };
  return { ...body, status: response.status };
}

test('when the reply to a commit is late, a repeated request with the same key gets the same prediction', async () => {
  // The registry is loaded and the connections are open. New connections cannot be opened through the stalled proxy.
  await Promise.all(
    Array.from({ length: 16 }, async () => {
      expect((await predict(randomUUID())).status).toBe(202);
    }),
  );
  const count = async () => (await pool.query('SELECT id FROM predictions ORDER BY id')).rows;
  const before = await count();
  const key = randomUUID();
  proxy.stallReplies();
  const first = await predict(key);
  expect(first).toMatchObject({ status: 503, code: 'store_unavailable', prediction_id: expect.any(String) });
  // A second request with the key arrives while the outcome of the first is unknown. The API must not create a second
  // prediction.
  expect(await predict(key)).toMatchObject({ status: 503, code: 'store_unavailable' });
  await expect.poll(async () => (await count()).length, { timeout: 60_000 }).toBe(before.length + 1);
  proxy.resume();
  let again = await predict(key);
  await expect
    .poll(
      async () => {
        again = await predict(key);
        return again.status;
      },
      { timeout: 60_000 },
    )
    .toBe(202);
  const after = await count();
  expect(after).toHaveLength(before.length + 1);
  expect(after.map(({ id }) => id)).toContain(rawId(again.id ?? ''));
  expect(again.id).toBe(first.prediction_id);
});

// A cluster client connects to the nodes that the cluster announces, and bypasses the proxy.
const onCluster = process.env.TEST_REDIS === 'cluster';
test.skipIf(onCluster)(
  'when the reply to a submission is late, a repeated request with the same key gets the same prediction',
  async () => {
    const lives = async () => {
      const keys = await keysOf(redis, `${keyPrefix}:`);
      return keys.filter((name) => /}:p:[^:]+$/.test(name));
    };
    const before = await lives();
    const key = randomUUID();
    // The reply to the claim of the key arrives. The submission, which contains the drug's key, reaches Redis, but its
    // reply is stalled.
    redisProxy.stallRepliesTo('metformin');
    expect(await predict(key, { prefer: 'wait=5' }, 'Metformin')).toMatchObject({
      status: 503,
      code: 'store_unavailable',
    });
    redisProxy.resume();
    let again = await predict(key, {}, 'Metformin');
    await expect
      .poll(
        async () => {
          again = await predict(key, {}, 'Metformin');
          return again.status;
        },
        { timeout: 60_000 },
      )
      .toBe(202);
    const fresh = (await lives()).filter((name) => !before.includes(name));
    expect(fresh.map((name) => name.slice(name.lastIndexOf(':') + 1))).toEqual([rawId(again.id ?? '')]);
  },
);
