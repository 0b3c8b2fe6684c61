import { renderPrediction } from '@millrace/shared/predictions/prediction';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { admit, DrainRate, estimate } from './admission.ts';

const counts = (entered: number, left: number) => ({
  entered: { 1: 0, 5: entered, 9: 0 },
  left: { 1: 0, 5: left, 9: 0 },
});
const limits = { maxQueue: 2_000_000, maxMemoryShare: 0.7 };
const NOW = Date.UTC(2026, 0, 31);
const AN_HOUR_MS = 3_600_000;
const A_WEEK_MS = 7 * 86_400_000;

/** The rate of a queue that drained at 2 a millisecond, and then for `stalledMs` not at all while it filled. */
function stalled(stalledMs: number): number | undefined {
  const rate = new DrainRate();
  for (let at = 0; at <= 2_000; at += 500) rate.observe(counts(10_000 + 2 * at, 2 * at), NOW + at);
  for (let at = 2_500; at <= stalledMs; at += 500) rate.observe(counts(14_000 + at, 4_000), NOW + at);
  return rate.perMs;
}

const record = {
  id: '01a2',
  model: 'm',
  version: '1',
  status: 'queued' as const,
  result: '',
  createdAt: NOW,
  startedAt: null,
  completedAt: null,
  expiresAt: null,
  attempts: 0,
  metadata: '',
  inferenceMs: null,
  batchSize: null,
};

describe('a queue that stands still', () => {
  test.each([60, 200, 600, 20_000])('for %d s has an estimate that can be written', (seconds) => {
    const perMs = stalled(seconds * 1_000);
    const { queue } = JSON.parse(renderPrediction(record, estimate(100_000, { perMs }, NOW)));
    expect(queue.position).toBe(100_001);
    expect(Date.parse(queue.estimated_completion_at)).toBeLessThanOrEqual(NOW + A_WEEK_MS);
    expect(Date.parse(queue.estimated_start_at)).toBeGreaterThan(NOW + AN_HOUR_MS);
  });

  test('refuses a deadline that it cannot meet, with words and a Retry-After of this world', () => {
    const verdict = admit(
      { counts: counts(100_000, 0), perMs: stalled(600_000), memoryShare: 0, reservedShare: 0, outputShare: 0 },
      limits,
      'normal',
      60_000,
    );
    expect(verdict).toEqual({
      admitted: false,
      code: 'deadline_unreachable',
      detail: 'It would take more than a week to answer, and expires_in allows 60 s.',
      retryAfterS: 3_600,
    });
  });
});

test('whatever the rate, an estimate is a time from now to a week on', () => {
  const rate = fc.oneof(fc.constant(undefined), fc.double({ min: Number.MIN_VALUE, max: 1e9, noNaN: true }));
  fc.assert(
    fc.property(fc.nat({ max: 1e9 }), rate, (ahead, perMs) => {
      const { position, estimatedStartAt, estimatedCompletionAt } = estimate(ahead, { perMs }, NOW);
      expect(position).toBe(ahead + 1);
      expect(estimatedStartAt).toBeGreaterThanOrEqual(NOW);
      expect(estimatedCompletionAt).toBeGreaterThanOrEqual(estimatedStartAt);
      expect(estimatedCompletionAt).toBeLessThanOrEqual(NOW + A_WEEK_MS);
    }),
  );
});

test('an estimate counts what waits at the measured rate, and then the measured run', () => {
  const load = { perMs: 0.125, runMs: 300 };
  expect(estimate(0, load, NOW)).toEqual({ position: 1, estimatedStartAt: NOW, estimatedCompletionAt: NOW + 300 });
  expect(estimate(10, load, NOW)).toEqual({
    position: 11,
    estimatedStartAt: NOW + 80,
    estimatedCompletionAt: NOW + 380,
  });
});

describe('outputs of waiting predictions', () => {
  const load = { counts: counts(10, 0), perMs: 1, memoryShare: 0.3, outputShare: 0.05 };

  test('have room reserved: what would not fit beside them is refused', () => {
    expect(admit({ ...load, reservedShare: 0.34 }, limits, 'normal', null)).toEqual({ admitted: true });
    expect(admit({ ...load, reservedShare: 0.4 }, limits, 'normal', null)).toEqual({
      admitted: false,
      code: 'queue_full',
      detail:
        "The queue's memory is 30 % full, and the outputs of waiting and running predictions need about 40 % more. Repeat the request later.",
      retryAfterS: 1,
    });
  });

  test('keep out nothing while nothing waits, however large the output', () => {
    const idle = { ...load, counts: counts(10, 10), reservedShare: 0, outputShare: 2 };
    expect(admit(idle, limits, 'normal', null)).toEqual({ admitted: true });
  });
});
