import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { FailureLog } from './failure-log.ts';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

test('20 failures of a second get a line each, and the others are counted in one line', () => {
  const log = new FailureLog();
  const told: number[] = [];
  const write = (times: number) =>
    Array.from({ length: times }, () => log.mayWrite((leftOut) => told.push(leftOut))).filter(Boolean).length;
  expect(write(4_000)).toBe(20);
  expect(told).toEqual([]);
  vi.advanceTimersByTime(1_000);
  expect(told).toEqual([3_980]);
  expect(write(5)).toBe(5);
  vi.advanceTimersByTime(2_000);
  expect(told).toEqual([3_980]);
});
