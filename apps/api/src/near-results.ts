/**
 * Results asked for again and again, kept in this process for a second at a time. A key earns its place by being hit in
 * Redis a few times within seconds, so that only what is hot is here; and once a second it is read from Redis again, so
 * that what another process stored, or Redis lost, is seen that soon. A purge changes the epoch, and is seen at once.
 */
import type { CachedResult, ResultCache } from '@millrace/shared/result-cache';

const TRUST_MS = 1_000;
const HOT_HITS = 3;
/** Hits further apart than this do not add up. */
const HOT_MS = 5_000;
const BODY_MAX = 16_384;
/** Two generations of at most this many bytes each. */
const BYTES_MAX = 16 * 1_048_576;

interface Near {
  result: CachedResult;
  epoch: number;
  /** Unix ms of the last read from Redis. */
  readAt: number;
  hits: number;
}

export interface NearResults extends Omit<ResultCache, 'get'> {
  /** At once where the result is near; else from Redis. */
  get(cacheKey: string, epoch: number, nowMs: number): CachedResult | null | Promise<CachedResult | null>;
  /** What is near and need not be read again, or undefined. */
  near(cacheKey: string, epoch: number, nowMs: number): CachedResult | undefined;
  /** The next one who asks is to get what Redis has. */
  forget(cacheKey: string): void;
}

export function nearResults(cache: ResultCache): NearResults {
  let young = new Map<string, Near>();
  let old = new Map<string, Near>();
  let bytes = 0;

  function keep(cacheKey: string, near: Near): void {
    if (bytes > BYTES_MAX) {
      old = young;
      young = new Map();
      bytes = 0;
    }
    if (!young.has(cacheKey)) bytes += 3 * near.result.output.length + 2 * (near.result.body?.length ?? 0) + 200;
    young.set(cacheKey, near);
  }

  function find(cacheKey: string): Near | undefined {
    const near = young.get(cacheKey);
    if (near) return near;
    const older = old.get(cacheKey);
    if (older) keep(cacheKey, older);
    return older;
  }

  async function read(cacheKey: string, epoch: number, nowMs: number): Promise<CachedResult | null> {
    const result = await cache.get(cacheKey, epoch);
    const before = find(cacheKey);
    if (result === null) forget(cacheKey);
    else if ((result.body?.length ?? 0) <= BODY_MAX && result.output.length <= BODY_MAX) {
      const again = before && before.epoch === epoch && nowMs - before.readAt < HOT_MS;
      keep(cacheKey, { result: copyOf(result), epoch, readAt: nowMs, hits: again ? before.hits + 1 : 1 });
    }
    return result;
  }

  function forget(cacheKey: string): void {
    young.delete(cacheKey);
    old.delete(cacheKey);
  }

  function nearest(cacheKey: string, epoch: number, nowMs: number): CachedResult | undefined {
    const near = find(cacheKey);
    const trusted = near && near.hits >= HOT_HITS && near.epoch === epoch && nowMs - near.readAt < TRUST_MS;
    return trusted ? near.result : undefined;
  }

  return {
    near: nearest,
    get: (cacheKey, epoch, nowMs) => nearest(cacheKey, epoch, nowMs) ?? read(cacheKey, epoch, nowMs),
    getMany: (cacheKeys, epoch) => cache.getMany(cacheKeys, epoch),
    put: (cacheKey, epoch, value, ttlMs) => cache.put(cacheKey, epoch, value, ttlMs),
    forget,
  };
}

/** What Redis sent lies in a chunk with a hundred others, which a slice of it would keep from being freed. */
function copyOf({ storedAt, freshUntil, body, output }: CachedResult): CachedResult {
  const text = body?.toString('latin1');
  return {
    storedAt,
    freshUntil,
    body: body && Buffer.from(body),
    output: Buffer.from(output),
    ...(text ? { text } : {}),
  };
}
