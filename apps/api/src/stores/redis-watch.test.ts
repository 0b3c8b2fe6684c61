import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { RedisWatch } from './redis-watch.ts';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

function watched(commandTimeoutMs = 700) {
  let stalled = false;
  const waiting: (() => void)[] = [];
  const redis = {
    status: 'ready' as const,
    ping: () =>
      stalled ? new Promise<'PONG'>((resolve) => waiting.push(() => resolve('PONG'))) : Promise.resolve('PONG'),
  };
  const watch = new RedisWatch(redis, commandTimeoutMs);
  return {
    watch,
    stall: () => {
      stalled = true;
    },
    thaw: () => {
      stalled = false;
      for (const reply of waiting.splice(0)) reply();
    },
  };
}

test('a Redis that responds is ready', async () => {
  const { watch } = watched();
  await vi.advanceTimersByTimeAsync(5_000);
  expect(watch.ready).toBe(true);
  watch.close();
});

test('a Redis that stops responding is not ready within half a second, until it responds again', async () => {
  const { watch, stall, thaw } = watched();
  await vi.advanceTimersByTimeAsync(1_000);
  stall();
  await vi.advanceTimersByTimeAsync(300);
  expect(watch.ready).toBe(true);
  await vi.advanceTimersByTimeAsync(250);
  expect(watch.ready).toBe(false);
  thaw();
  await vi.advanceTimersByTimeAsync(50);
  expect(watch.ready).toBe(true);
  watch.close();
});

test('a longer time limit of commands gives the PING more time', async () => {
  const { watch, stall } = watched(7_000);
  await vi.advanceTimersByTimeAsync(1_000);
  stall();
  await vi.advanceTimersByTimeAsync(3_900);
  expect(watch.ready).toBe(true);
  await vi.advanceTimersByTimeAsync(250);
  expect(watch.ready).toBe(false);
  watch.close();
});
