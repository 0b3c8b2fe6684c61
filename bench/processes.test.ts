import { expect, test } from 'vitest';
import { busiestMs, cpuByProcess } from './processes.ts';

test('the busiest process is the process that used the most time between two moments, also if it started after the first', () => {
  const before = new Map([
    [1, 900],
    [2, 10],
  ]);
  expect(busiestMs(before, new Map([...before, [2, 40]]))).toBe(30);
  expect(busiestMs(before, new Map([...before, [3, 70]]))).toBe(70);
  expect(busiestMs(before, before)).toBe(0);
});

test.runIf(process.platform === 'linux')('the processor time of this process and its descendants is read', () => {
  const before = cpuByProcess([process.pid]);
  // Processor time and not time: on a busy machine a process may hardly run.
  const start = process.cpuUsage();
  while (process.cpuUsage(start).user < 50_000);
  expect(busiestMs(before, cpuByProcess([process.pid]))).toBeGreaterThan(0);
});
