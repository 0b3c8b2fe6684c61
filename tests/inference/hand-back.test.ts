/** Tests that other workers take the jobs of a stopping worker immediately, however far apart their clocks are. */
import { newPredictionId, shardOf } from '@millrace/shared/predictions/ids';
import { jobIdOf } from '@millrace/shared/queue/job';
import { createQueues, type Queues } from '@millrace/shared/queue/queues';
import type { Connection } from '@millrace/shared/redis/connection';
import { keysFor } from '@millrace/shared/redis/keys';
import pino from 'pino';
import { afterAll, afterEach, beforeAll, expect, test, vi } from 'vitest';
import { type Consumer, startConsumer } from '../../apps/worker/src/inference/consumer.ts';
import { HandedBack } from '../../apps/worker/src/inference/dispatcher.ts';
import { testPrefix } from '../support/test-prefix.ts';
import { connectTestRedis } from '../support/test-redis.ts';

const MODEL = 'handed-back';
const HOUR_MS = 3_600_000;

let redis: Connection;
let queues: Queues;
const keys = keysFor(testPrefix());
const bull = `${keys.bull(shardOf(MODEL))}:${MODEL}`;
const opened: Consumer[] = [];

beforeAll(() => {
  redis = connectTestRedis();
  queues = createQueues(redis, keys, () => {});
});
afterEach(async () => {
  vi.useRealTimers();
  await Promise.all(opened.splice(0).map((consumer) => consumer.close()));
});
afterAll(async () => {
  await queues.close();
  redis.disconnect();
});

/** A consumer with one job at a time, and the jobs that it took. The test ends each job. */
function consume(workerId: string) {
  const taken: { ids: string[]; ahead: readonly string[] | undefined; end: PromiseWithResolvers<void> }[] = [];
  const consumer = startConsumer(MODEL, {
    connect: () => connectTestRedis(),
    keys,
    workerId,
    concurrency: 1,
    lockMs: 30_000,
    waitingRows: () => 0,
    holdRows: () => 1_000,
    compute({ ids, ahead }) {
      const end = Promise.withResolvers<void>();
      taken.push({ ids, ahead: ahead?.rows, end });
      return end.promise;
    },
    onLocksLost: () => {},
    log: pino({ level: 'silent' }),
  });
  opened.push(consumer);
  return { consumer, taken, first: () => vi.waitUntil(() => taken[0], { timeout: 60_000 }) };
}

/** The state in Redis while only closing consumers know the job. */
const stateOf = async (job: string) => ({
  waiting: await redis.zrange(`${bull}:prioritized`, '0', '-1'),
  delayed: await redis.zrange(`${bull}:delayed`, '0', '-1'),
  active: await redis.lrange(`${bull}:active`, 0, -1),
  locked: await redis.exists(`${bull}:${job}:lock`),
  marked: await redis.zscore(`${bull}:marker`, '0'),
});

test('a returned job waits at once in front of later jobs and wakes an idle consumer', async () => {
  const [first, second] = [1, 2].map((ms) => newPredictionId(shardOf(MODEL), ms)) as [string, string];
  const stopping = consume('stopping');
  await queues.add({ model: MODEL, version: '1', ids: [first], priority: 5 });
  const held = await stopping.first();
  await queues.add({ model: MODEL, version: '1', ids: [second], priority: 5 });
  await redis.del(`${bull}:marker`);

  vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + HOUR_MS });
  const closing = stopping.consumer.close();
  held.end.reject(new HandedBack('the worker stops'));
  await closing;
  vi.useRealTimers();
  expect(await stateOf(jobIdOf(first))).toEqual({
    waiting: [jobIdOf(first), jobIdOf(second)],
    delayed: [],
    active: [],
    locked: 0,
    marked: '0',
  });

  const other = consume('other');
  const retaken = await other.first();
  expect(retaken.ids).toEqual([first]);
  retaken.end.resolve();
  (await vi.waitUntil(() => other.taken[1], { timeout: 60_000 })).end.resolve();
});

test('prefetched rows of a job start before its predictions are taken only on the first attempt', async () => {
  const id = newPredictionId(shardOf(MODEL), 3);
  const stopping = consume('first');
  await queues.add({ model: MODEL, version: '1', ids: [id], priority: 5, jobId: jobIdOf(id), ahead: ['["a","b"]'] });
  const held = await stopping.first();
  expect(held.ahead).toEqual(['["a","b"]']);
  const closing = stopping.consumer.close();
  held.end.reject(new HandedBack('the worker stops'));
  await closing;

  const again = await consume('second').first();
  expect(again).toMatchObject({ ids: [id], ahead: undefined });
  again.end.resolve();
});
