/**
 * Results asked for again and again, kept in this process for a second at a time. A key earns its place by being hit in
 * Redis a few times within seconds, so that only what is hot is here; and before the second is over it is read from Redis
 * again, so that what another process stored, or Redis lost, is seen that soon: many at once and behind everybody's back, or
 * all that became hot together would be asked for together. A purge changes the epoch, and is seen at once.
 */
import type { CachedResult, ResultCache } from '@millrace/shared/cache/result-cache';

const TRUST_MS = 1_000;
/** Read again from this age on, if it was asked for since it was last read. */
const REFRESH_MS = 500;
/** How often `refresh` is to be called. */
export const REFRESH_EVERY_MS = 100;
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
  /** Whether it was asked for since. */
  asked: boolean;
}

export interface LocalResults extends Omit<ResultCache, 'get'> {
  /** At once where the result is near; else from Redis. */
  get(cacheKey: string, epoch: number, nowMs: number): CachedResult | null | Promise<CachedResult | null>;
  /** What is near and need not be read again, or undefined. */
  near(cacheKey: string, epoch: number, nowMs: number): CachedResult | undefined;
  /** The next one who asks is to get what Redis has. */
  forget(cacheKey: string): void;
  /** Reads again what is asked for all the time and will soon be a second old. To be called every REFRESH_EVERY_MS. */
  refresh(nowMs: number): Promise<void>;
}

export function createLocalResults(cache: ResultCache): LocalResults {
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
    else if (isSmall(result)) {
      const again = before && before.epoch === epoch && nowMs - before.readAt < HOT_MS;
      keep(cacheKey, { result: copyOf(result), epoch, readAt: nowMs, hits: again ? before.hits + 1 : 1, asked: false });
    }
    return result;
  }

  /** Of one epoch. */
  async function readAgain(cacheKeys: readonly string[], epoch: number, nowMs: number): Promise<void> {
    const results = await cache.getMany(cacheKeys, epoch);
    for (const [at, cacheKey] of cacheKeys.entries()) {
      const near = young.get(cacheKey);
      // Forgotten or read again meanwhile: what came is no news.
      if (near?.epoch !== epoch || near.readAt >= nowMs) continue;
      const result = results[at];
      if (!result) forget(cacheKey);
      else {
        const { storedAt, freshUntil } = near.result;
        if (!isSmall(result)) {
          // Another value has taken its place, and is not for this process to keep.
          forget(cacheKey);
          continue;
        }
        if (result.storedAt !== storedAt || result.freshUntil !== freshUntil) near.result = copyOf(result);
        near.readAt = nowMs;
        near.asked = false;
      }
    }
  }

  async function refresh(nowMs: number): Promise<void> {
    const due = new Map<number, string[]>();
    for (const [cacheKey, { epoch, asked, hits, readAt }] of young) {
      if (!asked || hits < HOT_HITS || nowMs - readAt < REFRESH_MS || nowMs - readAt >= TRUST_MS) continue;
      const ofEpoch = due.get(epoch);
      if (ofEpoch) ofEpoch.push(cacheKey);
      else due.set(epoch, [cacheKey]);
    }
    await Promise.all([...due].map(([epoch, cacheKeys]) => readAgain(cacheKeys, epoch, nowMs)));
  }

  function forget(cacheKey: string): void {
    young.delete(cacheKey);
    old.delete(cacheKey);
  }

  function nearest(cacheKey: string, epoch: number, nowMs: number): CachedResult | undefined {
    const near = find(cacheKey);
    const trusted = near && near.hits >= HOT_HITS && near.epoch === epoch && nowMs - near.readAt < TRUST_MS;
    if (!trusted) return undefined;
    near.asked = true;
    return near.result;
  }

  return {
    near: nearest,
    get: (cacheKey, epoch, nowMs) => nearest(cacheKey, epoch, nowMs) ?? read(cacheKey, epoch, nowMs),
    getMany: (cacheKeys, epoch) => cache.getMany(cacheKeys, epoch),
    put: (cacheKey, epoch, value, ttlMs) => cache.put(cacheKey, epoch, value, ttlMs),
    forget,
    refresh,
  };
}

type SmallResult = CachedResult & { body: Buffer | null; output: Buffer };

const isSmall = (result: CachedResult): result is SmallResult =>
  (result.body?.length ?? 0) <= BODY_MAX && result.output.length <= BODY_MAX;

/** What Redis sent lies in a chunk with a hundred others, which a slice of it would keep from being freed. */
function copyOf({ storedAt, freshUntil, body, output }: SmallResult): CachedResult {
  const text = body?.toString('latin1');
  return {
    storedAt,
    freshUntil,
    body: body && Buffer.from(body),
    output: Buffer.from(output),
    ...(text ? { text } : {}),
  };
}
