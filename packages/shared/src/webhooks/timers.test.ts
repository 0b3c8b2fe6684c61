import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { timerJobs } from './timers.ts';

const NOW = Date.UTC(2026, 0, 1) + 345;

describe('timers', () => {
  test('never fire before their time, nor more than a second after their time', () => {
    fc.assert(
      fc.property(fc.integer({ min: -10_000, max: 100_000_000 }), (inMs) => {
        const [job] = timerJobs([{ lane: 'a', atMs: NOW + inMs }], NOW);
        const lateMs = (job?.opts.delay ?? Number.NaN) - Math.max(0, inMs);
        expect(lateMs).toBeGreaterThanOrEqual(0);
        expect(lateMs).toBeLessThan(1_000);
      }),
    );
  });

  test('have one job for each lane and second', () => {
    const due = (lane: string, inMs: number) => ({ lane, atMs: NOW + inMs });
    const jobs = timerJobs([due('a', 0), due('a', -5), due('a', 5_001), due('a', 5_100), due('b', 5_001)], NOW);
    expect(jobs.map(({ data }) => data.lane)).toEqual(['a', 'a', 'b']);
    expect(new Set(jobs.map(({ opts }) => opts.jobId)).size).toBe(3);
    // BullMQ rejects ids with other separators, and reads an id of digits alone as a number.
    for (const { opts } of jobs) expect(opts.jobId).toMatch(/^[a-z0-9]+-[a-z0-9]+$/);
  });
});
