import { newPredictionId, shardOf } from '@millrace/shared/predictions/ids';
import { jobIdOf, parseLift } from '@millrace/shared/queue/job';
import { createQueues, type Queues } from '@millrace/shared/queue/queues';
import type { Connection } from '@millrace/shared/redis/connection';
import { keysFor } from '@millrace/shared/redis/keys';
import pino from 'pino';
import { afterAll, afterEach, beforeAll, expect, test, vi } from 'vitest';
import { type Consumer, type Held, startConsumer } from '../../apps/worker/src/inference/consumer.ts';
import { testPrefix } from '../support/test-prefix.ts';
import { connectTestRedis } from '../support/test-redis.ts';

const MODEL = 'held';
const [HIGH, NORMAL] = [1, 5];

let redis: Connection;
let queues: Queues;
let made = 0;
let keys: ReturnType<typeof keysFor>;
const opened: Consumer[] = [];
/** Ends the jobs of the test, also the jobs that still arrive: a consumer closes when its jobs have ended. */
let endAll = () => {};

beforeAll(() => {
  redis = connectTestRedis();
});
afterEach(async () => {
  endAll();
  await Promise.all(opened.splice(0).map((consumer) => consumer.close()));
  await queues.close();
});
afterAll(() => redis.disconnect());

const newIds = (count: number) =>
  Array.from({ length: count }, () => {
    made += 1;
    return newPredictionId(shardOf(MODEL), made);
  });

interface Taken extends Held {
  end: () => void;
}

/** Makes a consumer that holds at most `holdRows` rows. `taken` has the predictions of the consumer. The test ends each job. */
function consume(holdRows: number) {
  keys = keysFor(testPrefix());
  queues = createQueues(redis, keys, () => {});
  const taken: Taken[] = [];
  let over = false;
  endAll = () => {
    over = true;
    for (const one of taken) one.end();
  };
  const waiting = new Set<Taken>();
  const rowsOf = ({ ids, rows }: Held) => rows?.reduce((sum, count) => sum + count, 0) ?? ids.length;
  const start = (): void => {
    const consumer = startConsumer(MODEL, {
      connect: () => connectTestRedis(),
      keys,
      workerId: 'holder',
      concurrency: 64,
      lockMs: 30_000,
      waitingRows: (_model, priority = Number.POSITIVE_INFINITY) =>
        [...waiting].reduce((sum, one) => sum + (one.priority <= priority ? rowsOf(one) : 0), 0),
      holdRows: () => holdRows,
      compute(held) {
        const { promise, resolve } = Promise.withResolvers<void>();
        const one: Taken = { ...held, end: resolve };
        taken.push(one);
        if (over) resolve();
        waiting.add(one);
        return promise.finally(() => waiting.delete(one));
      },
      onLocksLost: () => {},
      log: pino({ level: 'silent' }),
    });
    opened.push(consumer);
  };
  const nth = (at: number) => vi.waitUntil(() => taken[at], { timeout: 60_000 });
  return { start, taken, nth };
}

const bull = () => `${keys.bull(shardOf(MODEL))}:${MODEL}`;
const inQueue = () => redis.zrange(`${bull()}:prioritized`, '0', '-1');
const allGone = () => expect.poll(() => redis.exists(`${bull()}:active`, `${bull()}:prioritized`)).toBe(0);

test('a worker takes jobs until it holds enough rows, and leaves the other jobs in the queue', async () => {
  const { start, taken, nth } = consume(10);
  const jobs = Array.from({ length: 6 }, () => newIds(4));
  for (const ids of jobs) await queues.add({ model: MODEL, version: '1', ids, priority: NORMAL });
  start();
  const third = await nth(2);
  // The queue is read after the consumer had the chance to take more jobs.
  expect(await inQueue()).toHaveLength(3);
  third.end();
  await nth(3);
  expect(await inQueue()).toHaveLength(2);
  for (let at = 0; at < jobs.length; at += 1) (await nth(at)).end();
  await allGone();
  expect(taken.map(({ ids }) => ids)).toEqual(jobs);
});

test('a worker keeps the predictions of a large job that fit its rows, and returns the rest to the front of the queue', async () => {
  const { start, taken, nth } = consume(10);
  const [large, next] = [newIds(25), newIds(1)];
  await queues.add({ model: MODEL, version: '1', ids: large, priority: NORMAL });
  await queues.add({ model: MODEL, version: '1', ids: next, priority: NORMAL });
  start();
  for (let at = 0; at < 4; at += 1) (await nth(at)).end();
  await allGone();
  // The other job may arrive as soon as the worker holds too few rows.
  const parts = taken.map(({ ids }) => ids).filter(([id]) => id !== next[0]);
  expect(parts).toEqual([large.slice(0, 10), large.slice(10, 20), large.slice(20)]);
});

test('rows count, not predictions: a prediction with more rows than the limit is held alone', async () => {
  const { start, taken, nth } = consume(10);
  const ids = newIds(4);
  await queues.add({
    model: MODEL,
    version: '1',
    ids,
    priority: NORMAL,
    jobId: jobIdOf(ids[0] as string),
    rows: [6, 5, 10_000, 1],
  });
  start();
  for (let at = 0; at < 4; at += 1) (await nth(at)).end();
  await allGone();
  expect(taken.map(({ ids, rows }) => [ids, rows])).toEqual([
    [ids.slice(0, 1), [6]],
    [ids.slice(1, 2), [5]],
    [ids.slice(2, 3), [10_000]],
    [ids.slice(3), [1]],
  ]);
});

test('a worker that holds enough rows still takes more urgent jobs, and no other jobs', async () => {
  const { start, taken, nth } = consume(10);
  const [held, later] = [newIds(10), newIds(10)];
  await queues.add({ model: MODEL, version: '1', ids: held, priority: NORMAL });
  await queues.add({ model: MODEL, version: '1', ids: later, priority: NORMAL });
  start();
  await nth(0);
  for (const at of [1, 2]) {
    const urgent = newIds(1);
    await queues.add({ model: MODEL, version: '1', ids: urgent, priority: HIGH });
    expect(await nth(at)).toMatchObject({ ids: urgent, priority: HIGH });
  }
  expect(taken).toHaveLength(3);
  expect(await inQueue()).toHaveLength(1);
  for (const one of taken) one.end();
  (await nth(3)).end();
  await allGone();
});

test('raising a prediction moves its waiting job forward and notifies the worker that holds the job', async () => {
  const { start, nth } = consume(10);
  const [held, waiting] = [newIds(10), newIds(10)];
  const lift = (ids: string[]) => {
    const [id] = ids as [string];
    return queues.lift({ model: MODEL, id, jobId: jobIdOf(id), priority: HIGH });
  };
  const listener = connectTestRedis();
  const messages: unknown[] = [];
  listener.on('message', (_channel, message) => void messages.push(parseLift(message)));
  await listener.subscribe(keys.liftChannel());
  await queues.add({ model: MODEL, version: '1', ids: held, priority: NORMAL });
  start();
  await nth(0);
  await queues.add({ model: MODEL, version: '1', ids: waiting, priority: NORMAL });
  await lift(held);
  await lift(waiting);
  // The raised job is more urgent than all held jobs.
  expect(await nth(1)).toMatchObject({ ids: waiting, priority: HIGH });
  await expect.poll(() => messages).toEqual([held, waiting].map(([id]) => ({ model: MODEL, id, priority: HIGH })));
  listener.disconnect();
  for (const at of [0, 1]) (await nth(at)).end();
  await allGone();
});
