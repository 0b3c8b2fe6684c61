/**
 * Results that callers read often, kept in this process for one second at a time. A result becomes local after a few hits in
 * Redis within seconds. Before the second ends, the process reads the result from Redis again, and so sees a result that
 * another process stored or that Redis lost. The refresh reads all due keys with one command in the background, so that keys
 * that became hot together do not all miss together. A purge changes the epoch and takes effect at once.
 */
import type { ResultCache } from '@millrace/shared/cache/result-cache';
import type { CachedResult } from '@millrace/shared/cache/result-value';
import { LRUCache } from 'lru-cache';

const TRUST_MS = 1_000;
/** A result of this age is read again, if a caller used the result since the last read. */
const REFRESH_MS = 500;
/** How often `refresh` must be called. */
export const REFRESH_EVERY_MS = 100;
const HOT_HITS = 3;
/** Hits with a longer time between them do not add up. */
const HOT_MS = 5_000;
/** Entries that one `refresh` discards at most, so that no request waits for thousands. */
const DISCARDED_MAX = 1_000;
const BODY_MAX = 16_384;
const BYTES_MAX = 32 * 1_048_576;

interface Entry {
  result: CachedResult;
  bytes: number;
  epoch: number;
  /** Unix ms of the last read from Redis. */
  readAt: number;
  /** Unix ms of the last use, or of the first read. */
  usedAt: number;
  hits: number;
}

/** A look-up of one result. */
export interface LookUp {
  cacheKey: string;
  epoch: number;
  nowMs: number;
}

export interface LocalResults extends Omit<ResultCache, 'get' | 'putMany'> {
  /**
   * Calls `next` with a local result at once, and otherwise after Redis was read. A further promise for each step would take time in each garbage
   * collection.
   */
  get<R>(lookUp: LookUp, next: (result: CachedResult | null) => R | Promise<R>): R | Promise<R>;
  /** Returns a local result that needs no new read, or undefined. */
  local(cacheKey: string, epoch: number, nowMs: number): CachedResult | undefined;
  /** Discards a result, so that the next `get` reads Redis. */
  forget(cacheKey: string): void;
  /** Reads the used results again that will soon be a second old, and discards old results. Must be called every REFRESH_EVERY_MS. */
  refresh(nowMs: number): Promise<void>;
  /** Number of results in this process. */
  readonly size: number;
}

export function createLocalResults(cache: ResultCache): LocalResults {
  const local = new LocalCache(cache);
  return {
    local: (cacheKey, epoch, nowMs) => local.find(cacheKey, epoch, nowMs),
    get(lookUp, next) {
      const { cacheKey, epoch, nowMs } = lookUp;
      const found = local.find(cacheKey, epoch, nowMs);
      if (found !== undefined) return next(found);
      return cache.get(cacheKey, epoch).then((result) => {
        local.keep(lookUp, result);
        return next(result);
      });
    },
    getMany: (cacheKeys, epoch) => cache.getMany(cacheKeys, epoch),
    put: (params) => cache.put(params),
    forget: (cacheKey) => local.forget(cacheKey),
    refresh: (nowMs) => local.refresh(nowMs),
    get size() {
      return local.size;
    },
  };
}

class LocalCache {
  readonly #cache: ResultCache;
  readonly #entries = new LRUCache<string, Entry>({ maxSize: BYTES_MAX, sizeCalculation: ({ bytes }) => bytes });

  constructor(cache: ResultCache) {
    this.#cache = cache;
  }

  get size(): number {
    return this.#entries.size;
  }

  find(cacheKey: string, epoch: number, nowMs: number): CachedResult | undefined {
    const entry = this.#entries.get(cacheKey);
    if (!entry || entry.hits < HOT_HITS || entry.epoch !== epoch || nowMs - entry.readAt >= TRUST_MS) return undefined;
    entry.usedAt = nowMs;
    return entry.result;
  }

  /** Keeps what Redis has: a small result, or nothing. */
  keep({ cacheKey, epoch, nowMs }: LookUp, result: CachedResult | null): void {
    if (result === null) this.forget(cacheKey);
    else if (isSmall(result)) {
      const before = this.#entries.peek(cacheKey);
      const again = before && before.epoch === epoch && nowMs - before.readAt < HOT_MS;
      const hits = again ? before.hits + 1 : 1;
      const bytes = bytesOf(result);
      this.#entries.set(cacheKey, { result: copyOf(result), bytes, epoch, readAt: nowMs, usedAt: nowMs, hits });
    }
  }

  forget(cacheKey: string): void {
    this.#entries.delete(cacheKey);
  }

  async refresh(nowMs: number): Promise<void> {
    this.#discardOld(nowMs);
    const due = new Map<number, string[]>();
    // The iteration starts at the last used entry.
    for (const [cacheKey, { epoch, usedAt, hits, readAt }] of this.#entries.entries()) {
      if (nowMs - usedAt >= TRUST_MS) break;
      if (usedAt <= readAt || hits < HOT_HITS || nowMs - readAt < REFRESH_MS || nowMs - readAt >= TRUST_MS) continue;
      const ofEpoch = due.get(epoch);
      if (ofEpoch) ofEpoch.push(cacheKey);
      else due.set(epoch, [cacheKey]);
    }
    await Promise.all([...due].map(([epoch, cacheKeys]) => this.#readAgain(cacheKeys, epoch, nowMs)));
  }

  /** A result of this age counts as never read. After a load the results would otherwise stay in memory until other results need the room. */
  #discardOld(nowMs: number): void {
    let discarded = 0;
    // The iteration starts at the entry that was not used for the longest time.
    for (const cacheKey of this.#entries.rkeys()) {
      const entry = this.#entries.peek(cacheKey);
      if (!entry || nowMs - entry.readAt < HOT_MS || discarded === DISCARDED_MAX) return;
      this.#entries.delete(cacheKey);
      discarded += 1;
    }
  }

  async #readAgain(cacheKeys: readonly string[], epoch: number, nowMs: number): Promise<void> {
    const results = await this.#cache.getMany(cacheKeys, epoch);
    for (const [at, cacheKey] of cacheKeys.entries()) {
      const entry = this.#entries.peek(cacheKey);
      // Another call has discarded or read the entry since the request, so the reply is out of date.
      if (entry?.epoch !== epoch || entry.readAt >= nowMs) continue;
      const result = results[at];
      // A value too large for this process may have replaced the result.
      if (!result || !isSmall(result)) this.forget(cacheKey);
      else {
        const { storedAt, freshUntil } = entry.result;
        if (result.storedAt !== storedAt || result.freshUntil !== freshUntil) entry.result = copyOf(result);
        entry.readAt = nowMs;
      }
    }
  }
}

type SmallResult = CachedResult & { body: Buffer | null; output: Buffer };

const isSmall = (result: CachedResult): result is SmallResult =>
  (result.body?.length ?? 0) <= BODY_MAX && result.output.length <= BODY_MAX;

/** The bytes that an entry takes: output, body, the body as text, and the entry. */
const bytesOf = ({ output, body }: SmallResult): number => 3 * output.length + 2 * (body?.length ?? 0) + 200;

/**
 * Redis sends results in chunks of about a hundred. A slice of a chunk would keep the whole chunk in memory, and `Buffer.from` a block of
 * 64 KiB that the copy shares with the Buffers of other requests.
 */
function copyOf({ storedAt, freshUntil, body, output }: SmallResult): CachedResult {
  const text = body?.toString('latin1');
  const { length } = output;
  const own = Buffer.allocUnsafeSlow(length + (body?.length ?? 0));
  output.copy(own);
  body?.copy(own, length);
  return {
    storedAt,
    freshUntil,
    body: body && own.subarray(length),
    output: own.subarray(0, length),
    ...(text ? { text } : {}),
  };
}
