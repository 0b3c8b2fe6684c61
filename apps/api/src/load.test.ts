import type { QueueCounts } from '@millrace/shared/live/store';
import { expect, test } from 'vitest';
import { LoadWatch } from './load.ts';

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
  const loads = new LoadWatch(live, async () => 0);
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
