import { renderPrediction } from '@millrace/shared/predictions/prediction';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { admit, aheadOf, DrainRate, enteredOf, estimate, type Load, waitingOf } from './admission.ts';

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

describe('the counts of a queue', () => {
  const mixed = { entered: { 1: 7, 5: 20, 9: 11 }, left: { 1: 4, 5: 12, 9: 1 } };

  test('have all priorities', () => {
    expect(enteredOf(mixed)).toBe(38);
    expect(waitingOf(mixed)).toBe(21);
    // Redis lost the counts of the predictions that entered.
    expect(waitingOf({ entered: { 1: 0, 5: 1, 9: 0 }, left: { 1: 0, 5: 9, 9: 0 } })).toBe(0);
  });

  test('put a new prediction behind its own and more urgent priorities', () => {
    expect([1, 5, 9].map((priority) => aheadOf(mixed, priority))).toEqual([3, 11, 21]);
  });

  test('put a numbered prediction behind the smaller numbers of its priority', () => {
    expect(aheadOf(mixed, 5, 15)).toBe(3 + 2);
    expect(aheadOf(mixed, 5, 13)).toBe(3);
    // The prediction has left the queue already.
    expect(aheadOf(mixed, 5, 2)).toBe(3);
    expect(aheadOf(mixed, 1, 7)).toBe(2);
  });

  test('of an absent priority are 0', () => {
    expect(aheadOf({ entered: { 5: 3 }, left: {} } as never, 9)).toBe(3);
  });
});

describe('the drain rate', () => {
  const observed = (...samples: [atMs: number, entered: number, left: number][]) => {
    const rate = new DrainRate();
    for (const [atMs, entered, left] of samples) rate.observe(counts(entered, left), NOW + atMs);
    return rate.perMs;
  };

  test('is the predictions that left in a millisecond', () => {
    expect(observed([0, 1_000, 0], [200, 1_000, 100])).toBe(0.5);
  });

  test('is not measured by one sample, by an idle queue, or while nothing leaves', () => {
    expect(observed([0, 1_000, 0])).toBeUndefined();
    expect(observed([0, 100, 100], [200, 300, 200])).toBeUndefined();
    expect(observed([0, 100, 0], [200, 100, 100])).toBeUndefined();
    expect(observed([0, 100, 0], [200, 100, 0])).toBeUndefined();
  });

  test('ignores samples less than 100 ms after the last, whose changes count later', () => {
    expect(observed([0, 1_000, 0], [99, 1_000, 90], [200, 1_000, 100])).toBe(0.5);
    expect(observed([0, 1_000, 0], [100, 1_000, 90])).toBe(0.9);
    // A second sample of the same moment.
    expect(observed([0, 1_000, 0], [0, 1_000, 50], [100, 1_000, 90])).toBe(0.9);
  });

  test('starts again after a clock is set back, and after Redis lost the counts', () => {
    expect(observed([5_000, 1_000, 0], [0, 1_000, 50], [200, 1_000, 150])).toBe(0.5);
    expect(observed([0, 1_000, 900], [200, 1_000, 0], [400, 1_000, 100])).toBe(0.5);
  });

  test('halves the weight of the older rate in five seconds', () => {
    const rate = observed([0, 100_000, 0], [1_000, 100_000, 1_000], [6_000, 100_000, 16_000]);
    expect(rate).toBeCloseTo(0.5 * 1 + 0.5 * 3, 10);
  });

  test('rises while the queue becomes idle, and does not fall', () => {
    const busy: [number, number, number][] = [
      [0, 10_000, 0],
      [1_000, 10_000, 1_000],
    ];
    // The rest left faster than before, and nothing waits now.
    expect(observed(...busy, [6_000, 16_000, 16_000])).toBeCloseTo(2, 10);
    // Nothing waits, because nothing came: no measure of the rate.
    expect(observed(...busy, [2_000, 10_000, 10_000], [12_000, 10_001, 10_001])).toBeGreaterThan(1);
  });

  test('of a stalled queue falls, and is never 0', () => {
    const perMs = stalled(100_000);
    expect(perMs).toBeLessThan(0.001);
    expect(perMs).toBeGreaterThanOrEqual(1 / A_WEEK_MS);
    expect(stalled(20_000_000)).toBe(1 / A_WEEK_MS);
  });
});

describe('a refusal', () => {
  const load: Load = { counts: counts(50_000, 0), perMs: 0.1, memoryShare: 0.1, reservedShare: 0, outputShare: 0 };
  const refusalOf = (more: Partial<Load>, params: Partial<Parameters<typeof admit>[1]> = {}) => {
    const verdict = admit({ ...load, ...more }, { ...normal, ...params });
    return verdict.admitted ? undefined : [verdict.reason, verdict.retryAfterS];
  };

  test('by memory begins at the limit, with a Retry-After of the time of a tenth of the queue', () => {
    expect(refusalOf({ memoryShare: 0.699 })).toBeUndefined();
    expect(refusalOf({ memoryShare: 0.7 })).toEqual(['memory', 50]);
    expect(admit({ ...load, memoryShare: 0.75 }, normal)).toMatchObject({
      detail: 'The memory of the queue is 75 % full. Send the request again later.',
    });
  });

  test('by outputs has a Retry-After of the time of a tenth of the queue', () => {
    expect(refusalOf({ memoryShare: 0.5, reservedShare: 0.25 })).toEqual(['outputs', 50]);
    expect(refusalOf({ memoryShare: 0.5, reservedShare: 0.1, outputShare: 0.2 })).toEqual(['outputs', 50]);
  });

  test('by the length of the queue has a Retry-After of the time until one more has room', () => {
    const limited = (maxQueue: number) => refusalOf({}, { limits: { maxQueue, maxMemoryShare: 0.7 } });
    expect(limited(50_001)).toBeUndefined();
    expect(limited(50_000)).toEqual(['waiting', 1]);
    expect(limited(40_001)).toEqual(['waiting', 100]);
    expect(limited(0)).toEqual(['waiting', 501]);
    // 10 ms for each prediction while no rate is measured.
    expect(refusalOf({ perMs: undefined }, { limits: { maxQueue: 1, maxMemoryShare: 0.7 } })).toEqual(['waiting', 500]);
    expect(refusalOf({ perMs: 0.001 }, { limits: { maxQueue: 1, maxMemoryShare: 0.7 } })).toEqual(['waiting', 3_600]);
  });

  test('by a deadline counts the prediction itself, with a Retry-After of the missing time', () => {
    expect(refusalOf({}, { expiresInMs: 500_010 })).toBeUndefined();
    expect(refusalOf({}, { expiresInMs: 500_009 })).toEqual(['deadline', 1]);
    expect(refusalOf({}, { expiresInMs: 490_000 })).toEqual(['deadline', 11]);
    expect(refusalOf({ perMs: undefined }, { expiresInMs: 1 })).toBeUndefined();
    expect(refusalOf({}, { expiresInMs: 1, priority: 'high' })).toEqual(['deadline', 1]);
    expect(admit(load, { ...normal, expiresInMs: 490_000 })).toMatchObject({
      detail: 'The prediction would take about 501 s, and expires_in allows 490 s.',
    });
  });

  test('by memory lasts as long as the queue drains, while the change of the memory is not measured', () => {
    expect(refusalOf({ memoryShare: 0.8, counts: counts(10, 10) })).toEqual(['memory', 60]);
    expect(refusalOf({ memoryShare: 0.8, counts: counts(11, 10) })).toEqual(['memory', 1]);
  });
});
