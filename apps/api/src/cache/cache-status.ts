/** The `Cache-Status` header of RFC 9211, and the age of a stored result. */

import type { CachedResult } from '@millrace/shared/cache/result-value';
import type { ModelConfig } from '@millrace/shared/model-files/model-config';

export const isFresh = (cached: CachedResult, maxAgeS: number | null, nowMs: number): boolean =>
  nowMs < cached.freshUntil && (maxAgeS === null || nowMs - cached.storedAt <= maxAgeS * 1000);

function ages(cached: CachedResult, nowMs: number): { ageS: number; ttlS: number } {
  const seconds = (ms: number) => Math.max(0, Math.floor(ms / 1000));
  return { ageS: seconds(nowMs - cached.storedAt), ttlS: seconds(cached.freshUntil - nowMs) };
}

/** The cache keys of an input: see NormalizedInput. */
interface Keyed {
  keys: readonly string[];
  own?: string;
}

const KEY_CHARACTERS = 8;

/**
 * The parameter `key`, the beginning of the cache key: two inputs with different keys are different inputs. Empty for an input of
 * several rows, which has several keys. The parameter comes last.
 */
function keyOf({ keys }: Keyed): string {
  const [key] = keys;
  return key === undefined || keys.length > 1 ? '' : `; key="${key.slice(0, KEY_CHARACTERS)}"`;
}

/** The `Cache-Status` and the `Age` of a stored prediction. A tenant's copy has no age: see CachedResponse. */
export function wholeHit(
  cached: CachedResult,
  input: Keyed,
  nowMs: number,
): { cacheStatus: string; ageS: number | null } {
  if (input.own !== undefined) return { cacheStatus: `millrace; hit${keyOf(input)}`, ageS: null };
  const { ageS, ttlS } = ages(cached, nowMs);
  return { cacheStatus: `millrace; hit; ttl=${ttlS}${keyOf(input)}`, ageS };
}

/**
 * The status of a hit of several rows. The `ttl` is the remaining time of the row that expires first. A row without a result is an
 * invalid row.
 */
export function hitStatus(cached: readonly (CachedResult | null)[], input: Keyed, nowMs: number): string {
  if (input.own !== undefined) return `millrace; hit${keyOf(input)}`;
  // No spread: there may be more rows than a call can have arguments.
  const ttl = cached.reduce(
    (least, row) => (row ? Math.min(least, ages(row, nowMs).ttlS) : least),
    Number.POSITIVE_INFINITY,
  );
  return `millrace; hit; ttl=${ttl}${keyOf(input)}`;
}

/** The status when the model does not allow the use of the cache. */
export function bypassStatus({ cache, deterministic }: ModelConfig): string {
  if (!cache.enabled || deterministic === true) return 'millrace; fwd=bypass';
  // The first worker that finds the files of a version from 0.1.0 verifies the version again.
  return `millrace; fwd=bypass; detail=${deterministic === false ? 'nondeterministic' : 'unverified'}`;
}

export interface MissParams {
  input: Keyed;
  config: ModelConfig;
  /** Whether the request allows the cache to store its result. */
  store: boolean;
  /** Whether the request may share a flight: see CachedRows. */
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
  const reason = cached.some((row) => row !== null) ? 'partial' : read ? 'miss' : 'request';
  const key = keyOf(params.input);
  if (shared) return `millrace; fwd=${reason}; collapsed${key}`;
  if (!cacheWritable) return `millrace; fwd=${reason}; stored=?0; detail=cache-unavailable${key}`;
  return succeeded ? `millrace; fwd=${reason}; stored${key}` : `millrace; fwd=${reason}${key}`;
}
