import { renderPrediction } from '@millrace/shared/predictions/prediction';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { admit, DrainRate, estimate, type Load } from './admission.ts';

const counts = (entered: number, left: number) => ({
  entered: { 1: 0, 5: entered, 9: 0 },
  left: { 1: 0, 5: left, 9: 0 },
});
const limits = { maxQueue: 2_000_000, maxMemoryShare: 0.7 };
const NOW = Date.UTC(2026, 0, 31);
const AN_HOUR_MS = 3_600_000;
const A_WEEK_MS = 7 * 86_400_000;

/** The rate of a queue that drains at 2 per ms, then stalls for `stalledMs` while new predictions enter. */
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
  digest: 'd'.repeat(64),
  priority: 'normal' as const,
  webhook: null,
  list: false,
  rows: 1,
  cache: 'miss' as const,
};

describe('a stalled queue', () => {
  test.each([60, 200, 600, 20_000])('has an estimate that can be written after %d s', (seconds) => {
    const perMs = stalled(seconds * 1_000);
    const { queue } = JSON.parse(renderPrediction(record, '', estimate(100_000, { perMs }, NOW)));
    expect(queue.position).toBe(100_001);
    expect(Date.parse(queue.estimated_completion_at)).toBeLessThanOrEqual(NOW + A_WEEK_MS);
    expect(Date.parse(queue.estimated_start_at)).toBeGreaterThan(NOW + AN_HOUR_MS);
  });

  test('refuses a deadline that cannot be met, with a bounded Retry-After', () => {
    const verdict = admit(
      { counts: counts(100_000, 0), perMs: stalled(600_000), memoryShare: 0, reservedShare: 0, outputShare: 0 },
      { limits, priority: 'normal', expiresInMs: 60_000 },
    );
    expect(verdict).toEqual({
      admitted: false,
      code: 'deadline_unreachable',
      reason: 'deadline',
      detail: 'The prediction would take more than a week, and expires_in allows 60 s.',
      retryAfterS: 3_600,
    });
  });
});

test('at every rate an estimate is between now and a week from now', () => {
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

test('an estimate adds the measured run to the waiting predictions at the measured rate', () => {
  const load = { perMs: 0.125, runMs: 300 };
  expect(estimate(0, load, NOW)).toEqual({ position: 1, estimatedStartAt: NOW, estimatedCompletionAt: NOW + 300 });
  expect(estimate(10, load, NOW)).toEqual({
    position: 11,
    estimatedStartAt: NOW + 80,
    estimatedCompletionAt: NOW + 380,
  });
});

const normal = { limits, priority: 'normal', expiresInMs: null } as const;

describe('outputs of waiting predictions', () => {
  const load = { counts: counts(10, 0), perMs: 1, memoryShare: 0.3, outputShare: 0.05 };

  test('reserve room: a prediction whose output does not fit is refused', () => {
    expect(admit({ ...load, reservedShare: 0.34 }, normal)).toEqual({ admitted: true });
    expect(admit({ ...load, reservedShare: 0.4 }, normal)).toEqual({
      admitted: false,
      code: 'queue_full',
      reason: 'outputs',
      detail:
        'The memory of the queue is 30 % full, and the outputs of waiting and running predictions need about 40 % more. Send the request again later.',
      retryAfterS: 1,
    });
  });

  test('refuse no output of any size while no prediction waits', () => {
    const idle = { ...load, counts: counts(10, 10), reservedShare: 0, outputShare: 2 };
    expect(admit(idle, normal)).toEqual({ admitted: true });
  });
});

describe('the Retry-After of a full memory', () => {
  const retryAfterS = (load: Partial<Load>) => {
    const verdict = admit(
      { counts: counts(0, 0), perMs: undefined, memoryShare: 0.8, reservedShare: 0, outputShare: 0, ...load },
      { limits, priority: 'normal', expiresInMs: null },
    );
    return verdict.admitted ? undefined : verdict.retryAfterS;
  };

  test('is the time until the memory has room, at the rate at which the memory becomes free', () => {
    expect(retryAfterS({ freedPerMs: 0.000_010_1 })).toBe(10);
    expect(retryAfterS({ freedPerMs: 1 })).toBe(1);
    expect(retryAfterS({ freedPerMs: 1e-12 })).toBe(3_600);
  });

  test('is a minute while nothing becomes free, also with an empty queue', () => {
    expect(retryAfterS({ freedPerMs: 0 })).toBe(60);
    expect(retryAfterS({ freedPerMs: -0.001, counts: counts(1_000, 0), perMs: 1 })).toBe(60);
    expect(retryAfterS({})).toBe(60);
  });
});
