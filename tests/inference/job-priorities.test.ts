/** The priority of a prediction decides the order in which workers get its job. Uses the real queue, and takes the jobs as a worker does. */

import type { PredictJob } from '@millrace/shared/queue/job';
import { createQueues } from '@millrace/shared/queue/queues';
import { writeOnce } from '@millrace/shared/redis/one-write';
import { Worker } from 'bullmq';
import pino from 'pino';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createSubmitter, type Submitter } from '../../apps/api/src/queue/submitter.ts';
import { MODEL, newPrediction, SHARD, TARGET, useLive } from '../lifecycle/live-fixture.ts';
import { connectTestRedis } from '../support/test-redis.ts';

const f = useLive();
let submitter: Submitter;
let worker: Worker<PredictJob>;
let close = async () => {};

beforeAll(async () => {
  const producer = connectTestRedis('producer');
  const blocking = connectTestRedis();
  const queues = createQueues(producer, f.keys, (error) => {
    throw error;
  });
  submitter = createSubmitter({
    live: f.live,
    queues,
    log: pino({ level: 'silent' }),
    redisReady: () => true,
    writeOnce: () => writeOnce(producer),
    timed: (call) => call,
    onCounts: () => {},
  });
  worker = new Worker<PredictJob>(MODEL, null, { connection: blocking, prefix: f.keys.bull(SHARD), autorun: false });
  close = async () => {
    await worker.close();
    await queues.close();
    producer.disconnect();
    blocking.disconnect();
  };
});
afterAll(() => close());

test('workers get high before normal before low, and within a priority the oldest first', async () => {
  const submitted: Record<string, string> = {};
  for (const name of ['low 1', 'normal 1', 'high 1', 'low 2', 'normal 2', 'high 2']) {
    const [priority] = name.split(' ') as ['low' | 'normal' | 'high'];
    const item = newPrediction();
    submitted[item.id] = name;
    await submitter.submit({ served: { version: TARGET }, priority }, item);
  }
  const taken: (string | undefined)[] = [];
  for (const _ of Object.keys(submitted)) {
    const job = await worker.getNextJob('token', { block: false });
    taken.push(...(job?.data.ids ?? []).map((id) => submitted[id]));
  }
  expect(taken).toEqual(['high 1', 'high 2', 'normal 1', 'normal 2', 'low 1', 'low 2']);
});
