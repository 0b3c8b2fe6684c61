import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  type AttemptContext,
  DISABLE_AFTER_MS,
  judge,
  MAX_ATTEMPTS,
  MAX_RETRY_AFTER_MS,
  type Outcome,
  RETRY_DELAYS_MS,
  retryAfterMs,
} from './retry-policy.ts';

const NOW = Date.UTC(2026, 0, 1);
const statuses = fc.integer({ min: 100, max: 599 });
const random = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });
const outcomes: fc.Arbitrary<Outcome> = fc.oneof(
  fc.record({ status: statuses, retryAfter: fc.option(fc.string(), { nil: undefined }) }),
  fc.constantFrom<Outcome>({ error: 'timeout' }, { error: 'connection_reset' }, { error: 'address_refused' }),
);
const contexts: fc.Arbitrary<AttemptContext> = fc.record({
  attempt: fc.integer({ min: 1, max: MAX_ATTEMPTS }),
  nowMs: fc.constant(NOW),
  failingSinceMs: fc.option(fc.integer({ min: NOW - 2 * DISABLE_AFTER_MS, max: NOW })),
  random,
});
const context = (more: Partial<AttemptContext> = {}): AttemptContext => ({
  attempt: 1,
  nowMs: NOW,
  failingSinceMs: null,
  random: 0,
  ...more,
});

describe('an attempt', () => {
  test('succeeds with 2xx and with nothing else', () => {
    fc.assert(
      fc.property(outcomes, contexts, (outcome, at) => {
        const ok = 'status' in outcome && outcome.status >= 200 && outcome.status <= 299;
        expect(judge(outcome, at).status === 'delivered').toBe(ok);
      }),
    );
  });

  test('that fails is followed by one no earlier than the schedule and at most a tenth later', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: MAX_ATTEMPTS - 1 }), random, (attempt, jitter) => {
        const { nextAttemptAtMs } = judge({ status: 500 }, context({ attempt, random: jitter }));
        const delay = (nextAttemptAtMs as number) - NOW;
        const scheduled = RETRY_DELAYS_MS[attempt - 1] as number;
        expect(delay).toBeGreaterThanOrEqual(scheduled);
        expect(delay).toBeLessThanOrEqual(scheduled * 1.1);
      }),
    );
  });

  test('is the last one when it is the tenth', () => {
    const verdict = judge({ error: 'timeout' }, context({ attempt: MAX_ATTEMPTS }));
    expect(verdict).toMatchObject({ status: 'failed', nextAttemptAtMs: null, endpoint: { disable: null } });
  });

  test('pends exactly while it has a next time, and a disabled endpoint gets none', () => {
    fc.assert(
      fc.property(outcomes, contexts, (outcome, at) => {
        const { status, nextAttemptAtMs, endpoint } = judge(outcome, at);
        expect(status === 'pending').toBe(nextAttemptAtMs !== null);
        expect(endpoint.disable === null || status === 'failed').toBe(true);
        expect(endpoint.failingSinceMs === null).toBe(status === 'delivered');
      }),
    );
  });
});

describe('Retry-After', () => {
  test('puts off the attempt after a 429 and a 503, up to a day, and is never undercut', () => {
    fc.assert(
      fc.property(fc.constantFrom(429, 503), fc.nat(1_000_000), random, (status, seconds, jitter) => {
        const verdict = judge({ status, retryAfter: String(seconds) }, context({ random: jitter }));
        const delay = (verdict.nextAttemptAtMs as number) - NOW;
        expect(delay).toBeGreaterThanOrEqual(Math.min(seconds * 1000, MAX_RETRY_AFTER_MS));
        expect(delay).toBeLessThanOrEqual(MAX_RETRY_AFTER_MS * 1.1);
      }),
    );
  });

  test('of other statuses changes nothing', () => {
    expect(judge({ status: 500, retryAfter: '3600' }, context()).nextAttemptAtMs).toBe(NOW + 5_000);
  });

  test.each([
    ['120', 120_000],
    [' 7 ', 7_000],
    ['Thu, 01 Jan 2026 00:01:00 GMT', 60_000],
    ['Wed, 31 Dec 2025 23:00:00 GMT', 0],
    ['-5', 0],
    ['1.5', 0],
    ['soon', 0],
    ['', 0],
    ['99999999999999999999', 0],
  ])('%j is %d ms', (header, ms) => {
    expect(retryAfterMs(header, NOW)).toBe(ms);
  });

  test('of any text is a number of milliseconds', () => {
    fc.assert(fc.property(fc.string(), (header) => Number.isFinite(retryAfterMs(header, NOW))));
  });
});

describe('an endpoint', () => {
  test('is disabled by a 410, on any attempt', () => {
    fc.assert(
      fc.property(contexts, (at) => {
        expect(judge({ status: 410 }, at)).toMatchObject({ status: 'failed', endpoint: { disable: 'gone' } });
      }),
    );
  });

  test('is disabled when it has failed for five days without a success', () => {
    const failed = (forMs: number) => judge({ status: 500 }, context({ failingSinceMs: NOW - forMs })).endpoint.disable;
    expect(failed(DISABLE_AFTER_MS - 1)).toBeNull();
    expect(failed(DISABLE_AFTER_MS)).toBe('failing');
  });

  test('remembers its first failure, and forgets it with a success', () => {
    expect(judge({ status: 500 }, context()).endpoint.failingSinceMs).toBe(NOW);
    expect(judge({ status: 500 }, context({ failingSinceMs: NOW - 5 })).endpoint.failingSinceMs).toBe(NOW - 5);
    expect(judge({ status: 204 }, context({ failingSinceMs: NOW - 5 })).endpoint.failingSinceMs).toBeNull();
  });
});
