/** Tests a Redis that lost its last writes: jobs are active again although the worker that they name has ended them. */
import { newPredictionId, shardOf } from '@millrace/shared/predictions/ids';
import { jobIdOf } from '@millrace/shared/queue/job';
import { createQueues, type Queues } from '@millrace/shared/queue/queues';
import type { Connection } from '@millrace/shared/redis/connection';
import { keysFor } from '@millrace/shared/redis/keys';
import pino from 'pino';
import { afterAll, afterEach, beforeAll, expect, test, vi } from 'vitest';
import { type Consumer, startConsumer } from '../../apps/worker/src/inference/consumer.ts';
import { type Heartbeat, startHeartbeat } from '../../apps/worker/src/inference/heartbeat.ts';
import { testPrefix } from '../support/test-prefix.ts';
import { connectTestRedis, keysOf } from '../support/test-redis.ts';

const MODEL = 'rolled-back';
const WORKER = 'aaaaaaaaaaaaaaaa';
let redis: Connection;
let queues: Queues;
let consumer: Consumer | undefined;
let heartbeat: Heartbeat | undefined;
const keys = keysFor(testPrefix());
const queue = `${keys.bull(shardOf(MODEL))}:${MODEL}`;

beforeAll(() => {
  redis = connectTestRedis();
  queues = createQueues(redis, keys, () => {});
});
afterEach(async () => {
  await consumer?.close();
  await heartbeat?.close();
});
afterAll(async () => {
  await queues.close();
  redis.disconnect();
});

/** A worker whose jobs the test ends. */
function work() {
  const taken: { ids: string[]; end: PromiseWithResolvers<void> }[] = [];
  const log = pino({ level: 'silent' });
  const own = startConsumer(MODEL, {
    connect: () => connectTestRedis(),
    keys,
    workerId: WORKER,
    concurrency: 4,
    lockMs: 60_000,
    waitingRows: () => 0,
    holdRows: () => 1_000,
    compute({ ids }) {
      const end = Promise.withResolvers<void>();
      taken.push({ ids, end });
      return end.promise;
    },
    onLocksLost: () => {},
    log,
  });
  consumer = own;
  heartbeat = startHeartbeat({
    redis,
    keys,
    workerId: WORKER,
    intervalMs: 400,
    models: () => [MODEL],
    holds: (_, job, token) => own.holds(job, token),
    log,
  });
  return taken;
}

/** Copies all keys of the queue. Returns a function that restores the copy. */
async function snapshot(): Promise<() => Promise<void>> {
  const kept = await Promise.all(
    (await keysOf(redis, queue)).map(async (key) => {
      const [value, ttl] = await Promise.all([redis.dumpBuffer(key), redis.pttl(key)]);
      return { key, value, ttl };
    }),
  );
  return async () => {
    const now = await keysOf(redis, queue);
    await Promise.all(now.map((key) => redis.del(key)));
    for (const { key, value, ttl } of kept) if (value) await redis.restore(key, Math.max(ttl, 0), value, 'REPLACE');
  };
}

test('an ended job that is active again, with a lock of its running worker, runs again', async () => {
  const taken = work();
  const id = newPredictionId(shardOf(MODEL), Date.now());
  await queues.add({ model: MODEL, version: '1', ids: [id], priority: 5, jobId: jobIdOf(id) });
  await vi.waitUntil(() => taken.length === 1, { timeout: 60_000 });
  const rollBack = await snapshot();
  const token = await redis.get(`${queue}:${jobIdOf(id)}:lock`);
  expect(token).toMatch(new RegExp(`^${WORKER}:`));
  expect(await redis.pttl(`${queue}:${jobIdOf(id)}:lock`)).toBeGreaterThan(40_000);
  taken[0]?.end.resolve();
  await expect.poll(() => redis.exists(`${queue}:${jobIdOf(id)}`)).toBe(0);
  // The worker can find the job at once, so that nothing of the queue is read between.
  await rollBack();
  await vi.waitUntil(() => taken.length === 2, { timeout: 60_000 });
  expect(taken[1]?.ids).toEqual([id]);
  taken[1]?.end.resolve();
  await expect.poll(() => redis.exists(`${queue}:${jobIdOf(id)}`)).toBe(0);
});

test('a job that runs in this worker is left alone by every check', async () => {
  const taken = work();
  const id = newPredictionId(shardOf(MODEL), Date.now());
  await queues.add({ model: MODEL, version: '1', ids: [id], priority: 5, jobId: jobIdOf(id) });
  await vi.waitUntil(() => taken.length === 1, { timeout: 60_000 });
  const token = await redis.get(`${queue}:${jobIdOf(id)}:lock`);
  // Each check renews the heartbeat. The test waits for five renewals.
  const beats = new Set<string | null>();
  await vi.waitUntil(async () => beats.add(await redis.get(keys.worker(0, WORKER))).size > 5, { timeout: 60_000 });
  expect(await redis.get(`${queue}:${jobIdOf(id)}:lock`)).toBe(token);
  expect(taken).toHaveLength(1);
  taken[0]?.end.resolve();
});

test('the counters of an empty queue are corrected, so that no model looks busy forever', async () => {
  const stats = keys.queueStats(shardOf(MODEL), MODEL);
  await redis.hset(stats, { s1: 5, t1: 5, s5: 9, t5: 7, s9: 1 });
  work();
  await expect.poll(() => redis.hgetall(stats)).toEqual({ s1: '5', t1: '5', s5: '9', t5: '9', s9: '1', t9: '1' });
});
