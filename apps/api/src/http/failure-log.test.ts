import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { FailureLog } from './failure-log.ts';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

test('the first 20 failures of a second get a line each, and one line counts the others', () => {
  const log = new FailureLog();
  const reported: number[] = [];
  const write = (times: number) =>
    Array.from({ length: times }, () => log.mayWrite((omitted) => reported.push(omitted))).filter(Boolean).length;
  expect(write(4_000)).toBe(20);
  expect(reported).toEqual([]);
  vi.advanceTimersByTime(1_000);
  expect(reported).toEqual([3_980]);
  expect(write(5)).toBe(5);
  vi.advanceTimersByTime(2_000);
  expect(reported).toEqual([3_980]);
});
