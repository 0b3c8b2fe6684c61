/** What the cache did for a request, in the words of RFC 9211. */

import type { CachedResult } from '@millrace/shared/cache/result-cache';
import type { ModelConfig } from '@millrace/shared/model-files/model-config';

export const fresh = (cached: CachedResult, maxAgeS: number | null, nowMs: number): boolean =>
  nowMs < cached.freshUntil && (maxAgeS === null || nowMs - cached.storedAt <= maxAgeS * 1000);

function ages(cached: CachedResult, nowMs: number): { ageS: number; ttlS: number } {
  const seconds = (ms: number) => Math.max(0, Math.floor(ms / 1000));
  return { ageS: seconds(nowMs - cached.storedAt), ttlS: seconds(cached.freshUntil - nowMs) };
}

/** A stored answer as it goes out: its `Cache-Status`, and its `Age` in seconds. */
export interface HitTold {
  cacheStatus: string;
  /** Null where another tenant may have computed the answer: its age would say when. */
  ageS: number | null;
}

export function hitTold(cached: CachedResult, own: string | undefined, nowMs: number): HitTold {
  if (own !== undefined) return { cacheStatus: 'millrace; hit', ageS: null };
  const { ageS, ttlS } = ages(cached, nowMs);
  return { cacheStatus: `millrace; hit; ttl=${ttlS}`, ageS };
}

/** RFC 9211. Of many rows, the time left is that of the first to go. */
export function hitStatus(known: readonly (CachedResult | null)[], nowMs: number): string {
  // No spread: rows may be more than a call takes arguments.
  const ttl = known.reduce((least, one) => Math.min(least, one ? ages(one, nowMs).ttlS : 0), Number.POSITIVE_INFINITY);
  return `millrace; hit; ttl=${ttl}`;
}

/** Why the cache was not used, where the model is the reason and not the request. */
export function bypassStatus({ cache, deterministic }: ModelConfig): string {
  if (!cache.enabled || deterministic === true) return 'millrace; fwd=bypass';
  // A version that 0.1.0 registered is verified again by the first worker that finds its files.
  return `millrace; fwd=bypass; detail=${deterministic === false ? 'nondeterministic' : 'unverified'}`;
}

export interface MissParams {
  config: ModelConfig;
  /** Whether the request allows the cache to store its result. */
  store: boolean;
  /** Whether the request allows a stored result. */
  read: boolean;
  /** Whether another request computes the result. */
  shared: boolean;
  /** What the cache had of each row. */
  known: readonly (CachedResult | null)[];
  /** Whether the cache Redis takes writes now: nothing is stored otherwise. */
  cacheWritable: boolean;
}

/** RFC 9211, of a request that the cache did not answer whole. */
export function missStatus({ config, store, read, shared, known, cacheWritable }: MissParams): string {
  if (!store) return bypassStatus(config);
  const reason = !read ? 'request' : known.some((one) => one !== null) ? 'partial' : 'miss';
  if (shared) return `millrace; fwd=${reason}; collapsed`;
  return `millrace; fwd=${reason}; ${cacheWritable ? 'stored' : 'stored=?0; detail=cache-unavailable'}`;
}
