import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { RefusalPace } from './refusal-pace.ts';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

test('the first refusals of a second are sent at once, and the others a quarter of a second later', () => {
  const pace = new RefusalPace();
  let refused = 0;
  const refuse = (times: number) => {
    for (let n = 0; n < times; n += 1)
      pace.run(() => {
        refused += 1;
      });
  };
  refuse(60);
  expect(refused).toBe(50);
  vi.advanceTimersByTime(250);
  expect(refused).toBe(60);
  vi.advanceTimersByTime(1_000);
  refuse(1);
  expect(refused).toBe(61);
});

test('at most 10,000 refusals are held, and a few are sent at a time', () => {
  const pace = new RefusalPace();
  let refused = 0;
  for (let n = 0; n < 10_060; n += 1)
    pace.run(() => {
      refused += 1;
    });
  expect(refused).toBe(60);
  // 20 refusals per turn of the event loop, and a turn every 5 ms.
  vi.advanceTimersByTime(250);
  expect(refused).toBe(80);
  vi.advanceTimersByTime(5);
  expect(refused).toBe(100);
  vi.advanceTimersByTime(2_500);
  expect(refused).toBe(10_060);
});
