/** What an attempt means for its delivery and its endpoint: the schedule, `Retry-After`, and when an endpoint is disabled. */

const S = 1_000;
const MIN = 60 * S;
const H = 60 * MIN;

/** Time from the failure of one attempt to the next, by Standard Webhooks 1.0; the first attempt is made at once. */
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
/** Longest that a `Retry-After` is obeyed: a receiver cannot park its deliveries for years. */
export const MAX_RETRY_AFTER_MS = 24 * H;
/** An endpoint with failures and no success for so long is disabled. */
export const DISABLE_AFTER_MS = 5 * 24 * H;
/** Jitter only ever adds, so that neither the schedule nor a `Retry-After` is broken by it. */
const JITTER = 0.1;

/** Why an attempt brought no status. */
export type AttemptError =
  | 'timeout'
  | 'connection_failed'
  | 'connection_reset'
  | 'tls_failed'
  | 'dns_failed'
  | 'address_refused'
  | 'invalid_response';

export type Outcome = { status: number; retryAfter?: string | undefined } | { error: AttemptError };

export interface AttemptContext {
  /** 1 for the first of its schedule, which a redelivery by hand begins anew. */
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

export const succeeded = (outcome: Outcome): boolean =>
  'status' in outcome && outcome.status >= 200 && outcome.status < 300;

export function judge(outcome: Outcome, context: AttemptContext): Verdict {
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

/** Milliseconds from a failed attempt to the next one. */
export function retryDelayMs(outcome: Outcome, { attempt, nowMs, random }: AttemptContext): number {
  const scheduled = RETRY_DELAYS_MS[Math.min(attempt, RETRY_DELAYS_MS.length) - 1] as number;
  const asked =
    'status' in outcome && (outcome.status === 429 || outcome.status === 503)
      ? retryAfterMs(outcome.retryAfter, nowMs)
      : 0;
  const delay = Math.max(scheduled, Math.min(asked, MAX_RETRY_AFTER_MS));
  return Math.round(delay * (1 + JITTER * random));
}

const HTTP_DATE = /^[A-Z][a-z]{2,8}, ?\d|^[A-Z][a-z]{2} [A-Z][a-z]{2} /;

/** `Retry-After` (RFC 9110: seconds, or a date) as milliseconds from `nowMs`; 0 when it is absent or makes no sense. */
export function retryAfterMs(header: string | undefined, nowMs: number): number {
  const text = header?.trim() ?? '';
  if (/^\d{1,10}$/.test(text)) return Number(text) * S;
  const at = HTTP_DATE.test(text) ? Date.parse(text) : Number.NaN;
  return Number.isNaN(at) ? 0 : Math.max(0, at - nowMs);
}
