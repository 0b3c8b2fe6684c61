import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  type AttemptContext,
  type AttemptOutcome,
  DISABLE_AFTER_MS,
  judge,
  MAX_ATTEMPTS,
  MAX_RETRY_AFTER_MS,
  RETRY_DELAYS_MS,
  retryAfterMs,
} from './retry-policy.ts';

const NOW = Date.UTC(2026, 0, 1);
const statuses = fc.integer({ min: 100, max: 599 });
const random = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });
const outcomes: fc.Arbitrary<AttemptOutcome> = fc.oneof(
  fc.record({ status: statuses, retryAfter: fc.option(fc.string(), { nil: undefined }) }),
  fc.constantFrom<AttemptOutcome>({ error: 'timeout' }, { error: 'connection_reset' }, { error: 'address_refused' }),
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
  test('succeeds with a 2xx status only', () => {
    fc.assert(
      fc.property(outcomes, contexts, (outcome, at) => {
        const ok = 'status' in outcome && outcome.status >= 200 && outcome.status <= 299;
        expect(judge(outcome, at).status === 'delivered').toBe(ok);
      }),
    );
  });

  test('has the limits of the documents: ten attempts, a success from 200 to 299, and five days', () => {
    expect([MAX_ATTEMPTS, DISABLE_AFTER_MS]).toEqual([10, 432_000_000]);
    const delivered = [199, 200, 299, 300].map((status) => judge({ status }, context()).status === 'delivered');
    expect(delivered).toEqual([false, true, true, false]);
  });

  test('that fails is followed by the next attempt at the scheduled time or up to a tenth of the delay later', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: MAX_ATTEMPTS - 1 }), random, (attempt, jitter) => {
        const { nextAttemptAtMs } = judge({ status: 500 }, context({ attempt, random: jitter }));
        const delay = nextAttemptAtMs! - NOW;
        const scheduled = RETRY_DELAYS_MS[attempt - 1]!;
        expect(delay).toBeGreaterThanOrEqual(scheduled);
        expect(delay).toBeLessThanOrEqual(scheduled * 1.1);
      }),
    );
  });

  test('is the last attempt when it is the tenth', () => {
    const verdict = judge({ error: 'timeout' }, context({ attempt: MAX_ATTEMPTS }));
    expect(verdict).toMatchObject({ status: 'failed', nextAttemptAtMs: null, endpoint: { disable: null } });
  });

  test('leaves the delivery pending exactly when a next attempt has a time, which a disabled endpoint never has', () => {
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
  test('delays the attempt after a 429 or a 503, by up to a day, and no attempt is earlier', () => {
    fc.assert(
      fc.property(fc.constantFrom(429, 503), fc.nat(1_000_000), random, (status, seconds, jitter) => {
        const verdict = judge({ status, retryAfter: String(seconds) }, context({ random: jitter }));
        const delay = verdict.nextAttemptAtMs! - NOW;
        expect(delay).toBeGreaterThanOrEqual(Math.min(seconds * 1000, MAX_RETRY_AFTER_MS));
        expect(delay).toBeLessThanOrEqual(MAX_RETRY_AFTER_MS * 1.1);
      }),
    );
  });

  test('is ignored for other statuses', () => {
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
    [undefined, 0],
    // Date.parse reads this text, but the text is no date of HTTP.
    ['2026-01-02', 0],
    ['99999999999999999999', 0],
  ])('%j is %d ms', (header, ms) => {
    expect(retryAfterMs(header, NOW)).toBe(ms);
  });

  test('is a finite number of milliseconds for any text', () => {
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

  test('keeps the time of its first failure until a success', () => {
    expect(judge({ status: 500 }, context()).endpoint.failingSinceMs).toBe(NOW);
    expect(judge({ status: 500 }, context({ failingSinceMs: NOW - 5 })).endpoint.failingSinceMs).toBe(NOW - 5);
    expect(judge({ status: 204 }, context({ failingSinceMs: NOW - 5 })).endpoint.failingSinceMs).toBeNull();
  });
});
