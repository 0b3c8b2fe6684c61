/** The timers of delivery lanes in the real Redis: which jobs wait, until when, and what a failure of Redis does. */

import type { Connection } from '@millrace/shared/redis/connection';
import { laneOf } from '@millrace/shared/webhooks/lane';
import { createWebhookTimers, WEBHOOK_QUEUE, webhookPrefix } from '@millrace/shared/webhooks/timers';
import { type Job, Worker } from 'bullmq';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { testPrefix } from '../support/test-prefix.ts';
import { connectTestRedis, keysOf } from '../support/test-redis.ts';

const NOW = 1_800_000_000_000;
const keyPrefix = testPrefix();
let connection: Connection;
let blocking: Connection;
let worker: Worker<{ lane: string }>;

beforeAll(() => {
  connection = connectTestRedis('producer');
  blocking = connectTestRedis();
  worker = new Worker(WEBHOOK_QUEUE, null, {
    connection: blocking,
    prefix: webhookPrefix(keyPrefix),
    autorun: false,
  });
});
afterAll(async () => {
  await worker.close();
  const left = await keysOf(blocking, webhookPrefix(keyPrefix));
  if (left.length > 0) await blocking.unlink(...left);
  connection.disconnect();
  blocking.disconnect();
});

/** The lane of the next job that is due, as a worker takes the job; undefined when no job is due. */
async function nextLane(): Promise<string | undefined> {
  const job: Job<{ lane: string }> | undefined = await worker.getNextJob('token', { block: false });
  await job?.moveToCompleted(null, 'token', false);
  return job?.data.lane;
}

const delayed = async () => {
  const name = `${webhookPrefix(keyPrefix)}:${WEBHOOK_QUEUE}:delayed`;
  return blocking.zrange(name, 0, '-1');
};

test('deliveries that are due now wake each of their lanes once', async () => {
  const timers = createWebhookTimers({ connection, keyPrefix, now: () => NOW });
  const url = (path: string) => ({ tenant: 'a', endpoint: null, url: `https://receiver.example/${path}` });
  await timers.scheduleDeliveries([url('x?n=1'), url('x?n=2'), url('y')]);
  const lanes = [await nextLane(), await nextLane()].sort();
  expect(lanes).toEqual([laneOf(url('x')), laneOf(url('y'))].sort());
  expect(await nextLane()).toBeUndefined();
  // The same lane can wake again after its job has ended, and after its job has failed.
  await timers.scheduleDeliveries([url('y')]);
  const job: Job<{ lane: string }> | undefined = await worker.getNextJob('token', { block: false });
  await job?.moveToFailed(new Error('the worker failed'), 'token', false);
  await timers.scheduleDeliveries([url('y')]);
  expect(await nextLane()).toBe(laneOf(url('y')));
  await timers.close();
});

test('a lane that is due later waits, and wakes once for each second', async () => {
  const timers = createWebhookTimers({ connection, keyPrefix, now: () => NOW });
  await timers.scheduleLanes([
    { lane: 'aa', atMs: NOW + 60_000 },
    { lane: 'aa', atMs: NOW + 59_500 },
    { lane: 'bb', atMs: NOW + 90_000 },
  ]);
  expect(await nextLane()).toBeUndefined();
  expect(await delayed()).toEqual([`aa-${(NOW + 60_000) / 1_000}`, `bb-${(NOW + 90_000) / 1_000}`]);
  await timers.close();
});

test('without lanes no command is sent, and a failure of Redis is reported and rejects nothing', async () => {
  const broken = connectTestRedis('producer');
  await new Promise((resolve) => broken.once('ready', resolve));
  const errors: unknown[] = [];
  const timers = createWebhookTimers({ connection: broken, keyPrefix, onError: (error) => errors.push(error) });
  await timers.scheduleLanes([{ lane: 'cc', atMs: Date.now() + 60_000 }]);
  expect(errors).toEqual([]);
  broken.disconnect();
  await timers.scheduleLanes([]);
  expect(errors).toEqual([]);
  await timers.scheduleLanes([{ lane: 'dd', atMs: Date.now() + 60_000 }]);
  expect(errors.length).toBeGreaterThan(0);
  await timers.close().catch(() => {});
});
