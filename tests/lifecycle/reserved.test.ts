/**
 * Tests the number of expected outputs in the queue Redis: of waiting predictions, running predictions and followers.
 */

import { OutputSizes } from '@millrace/shared/queue/output-sizes';
import { expectOutput, readQueueMemory } from '@millrace/shared/queue/reserved-outputs';
import { expect, test } from 'vitest';
import { MODEL, NOW, SHARD, useLive } from './live-fixture.ts';

const f = useLive();
const pending = async () => (await readQueueMemory(f.redis, f.keys)).pending.find(({ model }) => model === MODEL);

test('a measured size replaces an expected size', async () => {
  expect(await pending()).toBeUndefined();
  await expectOutput(f.redis, f.keys, { model: MODEL, bytes: 500.4 });
  expect(await pending()).toMatchObject({ bytes: 500, outputs: 0 });
  const sizes = new OutputSizes({ redis: f.redis, keys: f.keys, workerId: 'w1' });
  sizes.measured(MODEL, 2, 4_000_000);
  await expect.poll(async () => (await pending())?.bytes).toBe(2_000_000);
  await expectOutput(f.redis, f.keys, { model: MODEL, bytes: 500 });
  expect(await pending()).toMatchObject({ bytes: 2_000_000 });
});

test('followers count until their leader has ended, by any end', async () => {
  const lead = await f.submit({ flight: 'many' });
  for (let n = 0; n < 5; n += 1) await f.submit({ flight: 'many' });
  expect(await pending()).toMatchObject({ entered: 1, outputs: 6 });
  await f.submit();
  expect(await pending()).toMatchObject({ entered: 2, outputs: 7 });
  // The canceled leader is still computed for its followers.
  await f.live.end(lead.id, { tenant: 'default', status: 'canceled', nowMs: NOW });
  expect(await pending()).toMatchObject({ outputs: 7 });
  const [taken] = await f.take([lead.id]);
  expect(await pending()).toMatchObject({ outputs: 6 });
  await f.finish(taken!);
  expect(await pending()).toMatchObject({ outputs: 1 });
  expect(await f.redis.exists(f.keys.leaders(SHARD, MODEL))).toBe(0);
});

test('with more leaders than one read counts, the followers are estimated', async () => {
  const before = (await pending())?.outputs ?? 0;
  for (let n = 0; n < 300; n += 1) {
    await f.submit({ flight: `each-${n}` });
    await f.submit({ flight: `each-${n}` });
  }
  expect(await pending()).toMatchObject({ outputs: before + 600 });
});

test('a running prediction counts while its worker reports it, and at most 15 s after the worker has died', async () => {
  const before = (await pending())?.outputs ?? 0;
  const sizes = new OutputSizes({ redis: f.redis, keys: f.keys, workerId: 'w1' });
  const other = new OutputSizes({ redis: f.redis, keys: f.keys, workerId: 'w2' });
  for (const tracker of [sizes, other]) tracker.expect(MODEL, 1_000_000);
  sizes.running(MODEL, 3);
  other.running(MODEL, 1);
  await expect.poll(async () => (await pending())?.outputs).toBe(before + 4);
  sizes.running(MODEL, -3);
  await expect.poll(async () => (await pending())?.outputs).toBe(before + 1);
  other.close();
  const [seconds] = await f.redis.time();
  await f.redis.hset(f.keys.outputRuns(SHARD), `w2 ${MODEL}`, `1 ${Number(seconds) - 16}`);
  expect(await pending()).toMatchObject({ outputs: before });
  expect(await f.redis.exists(f.keys.outputRuns(SHARD))).toBe(0);
  sizes.close();
});

test('small outputs of running predictions are not reported', async () => {
  const sizes = new OutputSizes({ redis: f.redis, keys: f.keys, workerId: 'w1' });
  sizes.expect(MODEL, 100);
  sizes.running(MODEL, 64);
  sizes.expect(MODEL, 1_000_000);
  sizes.running(MODEL, 1);
  await expect.poll(() => f.redis.hget(f.keys.outputRuns(SHARD), `w1 ${MODEL}`)).toMatch(/^65 /);
  sizes.close();
});
