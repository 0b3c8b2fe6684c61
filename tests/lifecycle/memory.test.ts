import { createHash, randomBytes } from 'node:crypto';
import { jobIdOf } from '@millrace/shared/queue/job';
import { createQueues } from '@millrace/shared/queue/queues';
import { expect, test } from 'vitest';
import { keysOf } from '../support/test-redis.ts';
import { MODEL, NOW, newPrediction, SHARD, TARGET, useLive } from './live-fixture.ts';

// As long as the default prefix, which is part of every key.
const f = useLive(randomBytes(1).toString('hex'));
const COUNT = 1_280;
const BATCH = 64;
const GOAL_BYTES = 700;
// Live state and flight each have a slot in the key table and in the table of expiry times. Half of the slots are
// empty.
const SLOTS_BYTES = 2 * 2 * 8 * 1.5;

test(`a waiting prediction takes at most ${GOAL_BYTES} bytes of Redis beside its input`, async () => {
  const queues = createQueues(f.redis, f.keys, () => {});
  const { digest } = TARGET;
  const row = '["DB00001","DB00002"]';
  const task = JSON.stringify({ shape: 'one', rows: [row], keys: ['a'.repeat(64)], digest, epoch: 0 });
  for (let at = 0; at < COUNT; at += BATCH) {
    const items = Array.from({ length: BATCH }, (_, n) => {
      const flight = createHash('sha256')
        .update(`${at + n}`)
        .digest('hex');
      return newPrediction({ flight, task, expiresAt: NOW + 86_400_000 });
    });
    const job = jobIdOf(items[0]!.id);
    await f.live.submit(TARGET, { priority: 'normal', job, nowMs: NOW }, items);
    const ids = items.map(({ id }) => id);
    await queues.add({ model: MODEL, version: '1', ids, priority: 5, jobId: job });
  }
  await queues.close();
  // The sum over the keys: the total memory of the server also changes with parallel tests.
  const keys = await keysOf(f.redis, f.keys.tag(SHARD));
  const sizes = await Promise.all(keys.map((key) => f.redis.memory('USAGE', key, 'SAMPLES', 0)));
  const each = sizes.reduce<number>((sum, size) => sum + Number(size), 0) / COUNT + SLOTS_BYTES;
  const beside = Math.round(each - task.length);
  console.log(`A waiting prediction takes ${beside} bytes of Redis beside its input of ${task.length} bytes.`);
  expect(beside).toBeLessThanOrEqual(GOAL_BYTES);
});
