/** The `Cache-Status` header of RFC 9211, and the age of a stored result. */

import type { CachedResult } from '@millrace/shared/cache/result-value';
import type { ModelConfig } from '@millrace/shared/model-files/model-config';

export const isFresh = (cached: CachedResult, maxAgeS: number | null, nowMs: number): boolean =>
  nowMs < cached.freshUntil && (maxAgeS === null || nowMs - cached.storedAt <= maxAgeS * 1000);

function ages(cached: CachedResult, nowMs: number): { ageS: number; ttlS: number } {
  const seconds = (ms: number) => Math.max(0, Math.floor(ms / 1000));
  return { ageS: seconds(nowMs - cached.storedAt), ttlS: seconds(cached.freshUntil - nowMs) };
}

/** The `Cache-Status` and the `Age` of a stored prediction. `own` is the key of a tenant's copy: see CachedResponse. */
export function wholeHit(
  cached: CachedResult,
  own: string | undefined,
  nowMs: number,
): { cacheStatus: string; ageS: number | null } {
  if (own !== undefined) return { cacheStatus: 'millrace; hit', ageS: null };
  const { ageS, ttlS } = ages(cached, nowMs);
  return { cacheStatus: `millrace; hit; ttl=${ttlS}`, ageS };
}

/**
 * The status of a hit of several rows. The `ttl` is the remaining time of the row that expires first. A row without a result is an
 * invalid row.
 */
export function hitStatus(cached: readonly (CachedResult | null)[], nowMs: number): string {
  // No spread: there may be more rows than a call can have arguments.
  const ttl = cached.reduce(
    (least, row) => (row ? Math.min(least, ages(row, nowMs).ttlS) : least),
    Number.POSITIVE_INFINITY,
  );
  return `millrace; hit; ttl=${ttl}`;
}

/** The status when the model does not allow the use of the cache. */
export function bypassStatus({ cache, deterministic }: ModelConfig): string {
  if (!cache.enabled || deterministic === true) return 'millrace; fwd=bypass';
  // The first worker that finds the files of a version from 0.1.0 verifies the version again.
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
  /** The cached result of each row. */
  cached: readonly (CachedResult | null)[];
  /** Whether the cache Redis takes writes now. Otherwise no result is stored. */
  cacheWritable: boolean;
  /** Whether the prediction has succeeded: only then is a result stored. */
  succeeded: boolean;
}

/** The status of a request for which the cache did not have every row. */
export function missStatus(params: MissParams): string {
  const { config, store, read, shared, cached, cacheWritable, succeeded } = params;
  if (!store) return bypassStatus(config);
  const reason = !read ? 'request' : cached.some((row) => row !== null) ? 'partial' : 'miss';
  if (shared) return `millrace; fwd=${reason}; collapsed`;
  if (!cacheWritable) return `millrace; fwd=${reason}; stored=?0; detail=cache-unavailable`;
  return succeeded ? `millrace; fwd=${reason}; stored` : `millrace; fwd=${reason}`;
}
