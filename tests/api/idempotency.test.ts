import { randomUUID } from 'node:crypto';
import { ApiError } from '@millrace/shared/errors';
import { findKeyed, insertPromises } from '@millrace/shared/ledger/ledger';
import { createPool, type Pool } from '@millrace/shared/postgres/db';
import { newPredictionId, shardOf } from '@millrace/shared/predictions/ids';
import { type Connection, connectRedis } from '@millrace/shared/redis/connection';
import { Queue } from 'bullmq';
import pino from 'pino';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { WriteOutcomeUnknown } from '../../apps/api/src/http/store-errors.ts';
import { runOnce } from '../../apps/api/src/predictions/idempotency.ts';
import { createIdempotency, hashOfKey } from '../../apps/api/src/predictions/idempotency-claims.ts';
import type { PendingPrediction } from '../../apps/api/src/predictions/prediction-request.ts';
import { fingerprintOf } from '../../apps/api/src/predictions/request-fingerprint.ts';
import { promiseRow } from '../ledger/rows.ts';
import { rawId } from '../support/raw-id.ts';
import { useSmallModels } from '../support/small-models.ts';

const millrace = useSmallModels(['echo']);
let redis: Connection;
let pool: Pool;
beforeAll(() => {
  const { redisUrl, redisCluster, databaseUrl } = millrace.config;
  redis = connectRedis(redisUrl, 'blocking', { cluster: redisCluster });
  pool = createPool({ databaseUrl, max: 4, statementTimeoutMs: 10_000, applicationName: 'idempotency-test' });
});
afterAll(async () => {
  redis.disconnect();
  await pool.end();
});

const claims = () =>
  createIdempotency({
    redis,
    keys: millrace.keys,
    findInLedger: (claimed, sinceMs) => findKeyed(pool, claimed, sinceMs),
    log: pino({ level: 'silent' }),
  });
/** A request with metadata gets a prediction of its own also when its result is cached, and claims its key. */
const predict = (key: string, x: number[], more: Record<string, string> = {}) =>
  millrace.predict('echo', { input: { x }, metadata: { of: 'idempotency' } }, { 'idempotency-key': key, ...more });
/** Deletes the claim from Redis, as the loss of Redis does. */
const lose = (key: string) => redis.del(millrace.keys.idempotency('default', hashOfKey(key)));
const hasRecorded = (id: string) =>
  expect
    .poll(async () => (await pool.query('SELECT FROM predictions WHERE id = $1', [rawId(id)])).rowCount, {
      timeout: 60_000,
    })
    .toBe(1);

describe('an Idempotency-Key that Redis has lost', () => {
  test('returns its prediction as long as the ledger has the prediction, whether the first request waited or not', async () => {
    for (const prefer of ['respond-async', 'wait=10']) {
      const key = randomUUID();
      const first = await predict(key, [1, 2], { prefer });
      await hasRecorded(first.body.id);
      expect(await lose(key)).toBe(1);
      const again = await predict(key, [1, 2], { prefer: 'wait=10' });
      expect([again.status, again.body.id, again.body.status]).toEqual([200, first.body.id, 'succeeded']);
      // The claim is in Redis again, with its remaining time to live.
      const name = millrace.keys.idempotency('default', hashOfKey(key));
      expect(await redis.get(name)).toContain(rawId(first.body.id));
      expect(await redis.pttl(name)).toBeLessThanOrEqual(24 * 3_600_000);
    }
  });

  test('is still refused for another request', async () => {
    const key = randomUUID();
    const first = await predict(key, [5, 6]);
    await hasRecorded(first.body.id);
    await lose(key);
    expect((await predict(key, [6, 5])).body.code).toBe('idempotency_mismatch');
    expect((await predict(key, [5, 6])).body.id).toBe(first.body.id);
  });

  test('gives one prediction to many simultaneous requests', async () => {
    const key = randomUUID();
    const first = await predict(key, [3, 4]);
    await hasRecorded(first.body.id);
    await lose(key);
    const crowd = await Promise.all(Array.from({ length: 50 }, () => predict(key, [3, 4], { prefer: 'wait=10' })));
    expect(new Set(crowd.map(({ body }) => body.id))).toEqual(new Set([first.body.id]));
  });
});

describe('a key that the ledger also knows', () => {
  const tenant = 'default';

  test('is refused for another request', async () => {
    const key = randomUUID();
    const fingerprint = await fingerprintOf('m', undefined, { input: 1 });
    const row = promiseRow({ idempotencyHash: hashOfKey(key, fingerprint) });
    await insertPromises(pool, [row]);
    const now = Date.now();
    const claim = (fingerprint: string) =>
      claims().claim({ tenant, key, fingerprint, id: newPredictionId(0, now), nowMs: now });
    const other = await fingerprintOf('m', undefined, { input: 2 });
    expect(await claim(other)).toMatchObject({ kind: 'taken', id: row.id, same: false });
    expect(await claim(fingerprint)).toMatchObject({ kind: 'taken', id: row.id, same: true });
  });

  test('counts as new while Postgres does not respond', async () => {
    const warnings: unknown[] = [];
    const away = async () => Promise.reject(new Error('Postgres is away'));
    const idempotency = createIdempotency({
      redis,
      keys: millrace.keys,
      findInLedger: away,
      log: { warn: (error: unknown) => warnings.push(error) },
    });
    const id = newPredictionId(0, Date.now());
    expect(await idempotency.claim({ tenant, key: randomUUID(), fingerprint: 'f', id, nowMs: Date.now() })).toEqual({
      kind: 'mine',
    });
    expect(warnings).toHaveLength(1);
  });
});

describe('the key of a failed request', () => {
  const lookup = {
    find: () => Promise.reject(new Error('the ledger was read without a need')),
  };

  test.each([
    [
      'stays claimed when the promise may have been committed',
      new WriteOutcomeUnknown('store_unavailable', 'late'),
      true,
    ],
    ['is released when nothing was committed', new ApiError('queue_full', 'full'), false],
  ])('%s', async (_, error, kept) => {
    const key = randomUUID();
    const id = newPredictionId(0, Date.now());
    const request = { tenant: 'default', model: 'echo', version: undefined, body: { input: 1 } };
    const pending = { request, id, createdAt: Date.now() } as unknown as PendingPrediction;
    const fail = () => Promise.reject(error);
    await expect(runOnce({ idempotency: claims(), lookup }, { pending, key, start: fail, follow: fail })).rejects.toBe(
      error,
    );
    const held = await redis.get(millrace.keys.idempotency('default', hashOfKey(key)));
    expect(held?.startsWith(id) ?? false).toBe(kept);
  });
});

describe('a repeated request with a key, while the original request waits', () => {
  const queues = () => {
    const { redisUrl, redisCluster } = millrace.config;
    const connection = connectRedis(redisUrl, 'blocking', { cluster: redisCluster });
    const queue = new Queue('echo', {
      connection,
      prefix: millrace.keys.bull(shardOf('echo')),
      skipVersionCheck: true,
    });
    return { queue, close: () => queue.close().finally(() => connection.disconnect()) };
  };
  const stateOf = async (key: string) => {
    const claim = await redis.get(millrace.keys.idempotency('default', hashOfKey(key)));
    return claim && redis.get(millrace.keys.live(claim.slice(0, 36)));
  };
  const input = (n: number) => ({ inputs: [{ x: [n, 8] }, { x: [n, 9] }], metadata: { of: 'idempotency' } });
  const send = (key: string, n: number, prefer: string) =>
    millrace.predict('echo', input(n), { 'idempotency-key': key, prefer });

  // The API process of the original request may have been killed between the live state and the job.
  test.each(['respond-async', 'wait=1'])(
    'commits the promise before a 202 to %s, and runs without a job',
    async (prefer) => {
      const n = prefer === 'wait=1' ? 1 : 2;
      await millrace.stopWorkers('stop');
      const key = randomUUID();
      const original = send(key, n, 'wait=50');
      await expect.poll(() => stateOf(key)).toBeTruthy();
      const { queue, close } = queues();
      await expect.poll(() => queue.getJobCountByTypes('prioritized', 'waiting')).toBe(1);
      for (const job of await queue.getJobs(['prioritized', 'waiting'])) await job.remove();
      await close();
      const again = await send(key, n, prefer);
      expect([again.status, again.body.status]).toEqual([202, 'queued']);
      const { rows } = await pool.query('SELECT status, promised FROM predictions WHERE id = $1', [
        rawId(again.body.id),
      ]);
      expect(rows).toEqual([{ status: 'queued', promised: true }]);
      await millrace.startWorker();
      const first = await original;
      expect([first.status, first.body.id, first.body.status]).toEqual([200, again.body.id, 'succeeded']);
      expect(first.body.outputs).toHaveLength(2);
    },
  );
});
