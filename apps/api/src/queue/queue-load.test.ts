import type { QueueCounts } from '@millrace/shared/live/store';
import { expect, test } from 'vitest';
import { QueueLoad } from './queue-load.ts';

const counts = (entered: number, left: number): QueueCounts => ({
  entered: { 1: 0, 5: entered, 9: 0 },
  left: { 1: 0, 5: left, 9: 0 },
});

test('what is known of a queue that nothing enters is no older than its draining would show', async () => {
  const now = Date.now();
  let left = 0;
  let asked = 0;
  const live = {
    counts: async () => {
      asked += 1;
      return counts(40, left);
    },
  };
  const loads = new QueueLoad(live, async () => ({ share: 0, limitBytes: 0, outputs: [] }));
  loads.observe('m', counts(40, 0), now);
  // Full: everything is refused, and each refusal asks what is known.
  for (let ms = 0; ms <= 50; ms += 1) loads.current('m', now + ms);
  expect(asked).toBe(0);
  left = 10;
  loads.current('m', now + 51);
  await new Promise(setImmediate);
  expect(asked).toBe(1);
  expect(loads.current('m', now + 51).counts.left[5]).toBe(10);
});

test('the outputs of what waits for all models take part of the memory, with what came since the last look', async () => {
  const now = Date.now();
  const memory = {
    share: 0.3,
    limitBytes: 1_000,
    outputs: [
      { model: 'elsewhere', waiting: 2, bytes: 100 },
      { model: 'm', waiting: 1, bytes: 50 },
    ],
  };
  const loads = new QueueLoad({ counts: async () => counts(1, 0) }, async () => memory);
  loads.current('m', now);
  await new Promise(setImmediate);
  expect(loads.current('m', now)).toMatchObject({ memoryShare: 0.3, reservedShare: 0.25, outputShare: 0.05 });
  loads.observe('m', counts(5, 0), now);
  expect(loads.current('m', now).reservedShare).toBeCloseTo(0.45);
  loads.observe('m', counts(5, 5), now);
  expect(loads.current('m', now).reservedShare).toBeCloseTo(0.2);
});
