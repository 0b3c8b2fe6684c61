/** The retry policy: the schedule of attempts, `Retry-After`, and the rule that disables an endpoint. */

const S = 1_000;
const MIN = 60 * S;
const H = 60 * MIN;

/** Delays from a failed attempt to the next attempt, from Standard Webhooks 1.0. The first attempt has no delay. */
export const RETRY_DELAYS_MS: readonly number[] = [
  5 * S,
  5 * MIN,
  30 * MIN,
  2 * H,
  5 * H,
  10 * H,
  14 * H,
  20 * H,
  24 * H,
];
export const MAX_ATTEMPTS = RETRY_DELAYS_MS.length + 1;
/** The longest accepted `Retry-After`: a receiver cannot postpone its deliveries for years. */
export const MAX_RETRY_AFTER_MS = 24 * H;
/** An endpoint is disabled after failures without a success for this time. */
export const DISABLE_AFTER_MS = 5 * 24 * H;
/** Jitter is only added, so that no attempt is earlier than the schedule or `Retry-After` allows. */
const JITTER = 0.1;

/** The reason that an attempt has no status. */
export type AttemptError =
  | 'timeout'
  | 'connection_failed'
  | 'connection_reset'
  | 'tls_failed'
  | 'dns_failed'
  | 'address_refused'
  | 'invalid_response';

export type AttemptOutcome = { status: number; retryAfter?: string | undefined } | { error: AttemptError };

export interface AttemptContext {
  /** Number of the attempt in its schedule, from 1. A redelivery by hand restarts the schedule. */
  attempt: number;
  nowMs: number;
  /** First failure of the endpoint since its last success, Unix ms; null when the last attempt succeeded. */
  failingSinceMs: number | null;
  /** A number in [0, 1). */
  random: number;
}

export type DisableReason = 'gone' | 'failing';

export interface Verdict {
  status: 'delivered' | 'pending' | 'failed';
  /** Unix ms while pending, else null. */
  nextAttemptAtMs: number | null;
  endpoint: { failingSinceMs: number | null; disable: DisableReason | null };
}

export const succeeded = (outcome: AttemptOutcome): boolean =>
  'status' in outcome && outcome.status >= 200 && outcome.status < 300;

export function judge(outcome: AttemptOutcome, context: AttemptContext): Verdict {
  const { attempt, nowMs } = context;
  if (succeeded(outcome)) {
    return { status: 'delivered', nextAttemptAtMs: null, endpoint: { failingSinceMs: null, disable: null } };
  }
  const failingSinceMs = Math.min(context.failingSinceMs ?? nowMs, nowMs);
  const gone = 'status' in outcome && outcome.status === 410;
  const failing = nowMs - failingSinceMs >= DISABLE_AFTER_MS;
  const disable = gone ? 'gone' : failing ? 'failing' : null;
  const over = disable !== null || attempt >= MAX_ATTEMPTS;
  return {
    status: over ? 'failed' : 'pending',
    nextAttemptAtMs: over ? null : nowMs + retryDelayMs(outcome, context),
    endpoint: { failingSinceMs, disable },
  };
}

/** Milliseconds from a failed attempt to the next attempt. */
export function retryDelayMs(outcome: AttemptOutcome, { attempt, nowMs, random }: AttemptContext): number {
  const scheduled = RETRY_DELAYS_MS[attempt - 1] ?? RETRY_DELAYS_MS.at(-1) ?? 0;
  const requested =
    'status' in outcome && (outcome.status === 429 || outcome.status === 503)
      ? retryAfterMs(outcome.retryAfter, nowMs)
      : 0;
  const delay = Math.max(scheduled, Math.min(requested, MAX_RETRY_AFTER_MS));
  return Math.round(delay * (1 + JITTER * random));
}

const HTTP_DATE = /^[A-Z][a-z]{2,8}, ?\d|^[A-Z][a-z]{2} [A-Z][a-z]{2} /;

/** `Retry-After` (RFC 9110: seconds, or a date) as milliseconds from `nowMs`. Returns 0 for an absent or invalid header. */
export function retryAfterMs(header: string | undefined, nowMs: number): number {
  const text = header?.trim() ?? '';
  if (/^\d{1,10}$/.test(text)) return Number(text) * S;
  const at = HTTP_DATE.test(text) ? Date.parse(text) : Number.NaN;
  return Number.isNaN(at) ? 0 : Math.max(0, at - nowMs);
}
