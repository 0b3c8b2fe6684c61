/**
 * Cached results on the cache Redis. A cache Redis that is down causes misses and never errors. A damaged value is a miss too:
 * the cache counts and deletes the value.
 */

import { randomUUID } from 'node:crypto';
import { Cluster } from 'ioredis';
import type { Connection } from '../redis/connection.ts';
import type { Keys } from '../redis/keys.ts';
import type { Pieces } from '../redis/long-values.ts';
import { isWrongType } from '../redis/wrong-type.ts';
import { readLongValue, writeLongValue } from './long-values.ts';
import { type NamedResult, namedIn } from './named-result.ts';
import {
  type CachedResult,
  CHECKSUM_BYTES,
  decodeLongResult,
  decodeResult,
  type EncodedResult,
  encodeResult,
  isCut,
} from './result-value.ts';

/** The most values that one command reads, since Redis runs no other command meanwhile. */
const AT_ONCE = 200;
/** Longer values use the connection for large values, so that small values do not wait behind a large value. */
const SMALL_BYTES = 65_536;
/** The most bytes of values in the reply to one read. */
const REPLY_BYTES = 1_048_576;

// KEYS: values. ARGV: longest value to return, bytes of the whole reply. Returns each value; nil for none, 1 for a longer
// value.
const GET_SMALL = `
local out, bytes = {}, 0
for n = 1, #KEYS do
  local length = redis.pcall('STRLEN', KEYS[n])
  if type(length) ~= 'number' or length == 0 then out[n] = false
  elseif length > tonumber(ARGV[1]) or bytes + length > tonumber(ARGV[2]) then out[n] = 1
  else
    out[n] = redis.call('GET', KEYS[n])
    bytes = bytes + length
  end
end
return out`;

export interface ResultCache {
  get(cacheKey: string, epoch: number): Promise<CachedResult | null>;
  /** Returns the results in the order of the keys; null for a key of null. */
  getMany(cacheKeys: readonly (string | null)[], epoch: number): Promise<(CachedResult | null)[]>;
  put(params: PutParams): Promise<void>;
}

export interface PutParams {
  cacheKey: string;
  epoch: number;
  value: EncodedResult;
  ttlMs: number;
}

export interface ResultCacheOptions {
  /** Called once per failed call. The call counts as a miss. */
  onError(error: unknown): void;
  /** Called for each damaged value. */
  onDamaged(): void;
  /** Called with the bytes of each value that was read or written. */
  onBytes?(direction: 'read' | 'written', bytes: number): void;
  /**
   * Whether a stored body is a response of this process. Of a result with another body only the output is used. Without
   * `isCurrent` every body is used.
   */
  isCurrent?(body: NonNullable<CachedResult['body']>): boolean;
  /** A second connection to the same Redis for long values. Without `large`, all values use one connection. */
  large?: Connection;
  /** Reads the result that a cached value names. Without `named`, and where the prediction is gone, the value is a miss. */
  named?: NamedResults;
}

export interface NamedResults {
  /** Resolves to null where neither Redis nor the ledger has the output. May reject. */
  read(named: NamedResult): Promise<Pick<CachedResult, 'body' | 'output'> | null>;
  /** How long the cache keeps a whole result that replaces the value; at most 0 for a result that is not stored. */
  ttlMs(named: NamedResult): number;
}

const piecesOf = (bytes: Buffer | Pieces): Pieces =>
  Buffer.isBuffer(bytes) ? { pieces: [bytes], length: bytes.length } : bytes;

/** In the order of the keys: a small value, 1 for a value that must be read alone, or null for no value. */
type SmallValues = (Buffer | number | null)[];
type Scripted = Connection & {
  mrGetSmallBuffer(numberOfKeys: number, ...args: (string | number)[]): Promise<SmallValues>;
};

export function createResultCache(redis: Connection, keys: Keys, options: ResultCacheOptions): ResultCache {
  return new RedisResultCache(redis, keys, options);
}

class RedisResultCache implements ResultCache {
  readonly #redis: Scripted;
  readonly #large: Connection;
  readonly #keys: Keys;
  readonly #options: ResultCacheOptions;
  /** Reads of named results in progress, by key. Many callers of one result share a read. */
  readonly #namedReads = new Map<string, Promise<CachedResult | null>>();

  constructor(redis: Connection, keys: Keys, options: ResultCacheOptions) {
    // A defined command instead of `call`: the automatic pipelines of ioredis lose the name of a command that `call` sends.
    redis.defineCommand('mrGetSmall', { lua: GET_SMALL });
    this.#redis = redis as Scripted;
    this.#large = options.large ?? redis;
    this.#keys = keys;
    this.#options = options;
  }

  async get(cacheKey: string, epoch: number): Promise<CachedResult | null> {
    try {
      const key = this.#keyOf(cacheKey, epoch);
      const beginning = await this.#redis.getrangeBuffer(key, 0, SMALL_BYTES - 1);
      if (beginning.length === 0) return null;
      if (!isCut(beginning, SMALL_BYTES)) return await this.#decode(cacheKey, epoch, beginning);
      const long = await readLongValue(this.#large, key, CHECKSUM_BYTES);
      if (long === null) return null;
      this.#options.onBytes?.('read', beginning.length + long.value.length);
      const [first] = long.value.pieces;
      const isOnePiece = long.value.pieces.length === 1 && first !== undefined;
      const whole = isOnePiece ? decodeResult(cacheKey, first) : decodeLongResult(cacheKey, long);
      return whole ? await this.#usable(cacheKey, epoch, whole) : this.#discard(cacheKey, epoch);
    } catch (error) {
      if (isWrongType(error)) return this.#discard(cacheKey, epoch);
      this.#options.onError(error);
      return null;
    }
  }

  async getMany(cacheKeys: readonly (string | null)[], epoch: number): Promise<(CachedResult | null)[]> {
    const wanted = cacheKeys.filter((cacheKey) => cacheKey !== null);
    const parts: Promise<(CachedResult | null)[]>[] = [];
    for (let at = 0; at < wanted.length; at += AT_ONCE)
      parts.push(this.#getSome(wanted.slice(at, at + AT_ONCE), epoch));
    const found = (await Promise.all(parts)).flat();
    let next = 0;
    return cacheKeys.map((cacheKey) => (cacheKey === null ? null : (found[next++] ?? null)));
  }

  async put({ cacheKey, epoch, value, ttlMs }: PutParams): Promise<void> {
    try {
      const key = this.#keyOf(cacheKey, epoch);
      const px = Math.max(1, Math.round(ttlMs));
      if (!Buffer.isBuffer(value)) {
        const written = this.#keys.resultWritten(key, randomUUID());
        const redis = this.#large;
        await writeLongValue({ redis, key, written, value, checksumBytes: CHECKSUM_BYTES, ttlMs: px });
      } else {
        const connection = value.length > SMALL_BYTES ? this.#large : this.#redis;
        await connection.set(key, value, 'PX', px);
      }
      this.#options.onBytes?.('written', value.length);
    } catch (error) {
      this.#options.onError(error);
    }
  }

  /** The keys of a cluster are on several masters, so each key is read alone. */
  async #getSome(cacheKeys: readonly string[], epoch: number): Promise<(CachedResult | null)[]> {
    if (this.#redis instanceof Cluster) return Promise.all(cacheKeys.map((cacheKey) => this.get(cacheKey, epoch)));
    try {
      const names = cacheKeys.map((cacheKey) => this.#keyOf(cacheKey, epoch));
      const values = await this.#redis.mrGetSmallBuffer(names.length, ...names, SMALL_BYTES, REPLY_BYTES);
      return await Promise.all(
        cacheKeys.map((cacheKey, at) => {
          const bytes = values[at] ?? null;
          return typeof bytes === 'number' ? this.get(cacheKey, epoch) : this.#decode(cacheKey, epoch, bytes);
        }),
      );
    } catch (error) {
      this.#options.onError(error);
      return cacheKeys.map(() => null);
    }
  }

  #keyOf(cacheKey: string, epoch: number): string {
    return this.#keys.result(epoch === 0 ? cacheKey : `${epoch}:${cacheKey}`);
  }

  #decode(cacheKey: string, epoch: number, bytes: Buffer | null): CachedResult | null | Promise<CachedResult | null> {
    if (bytes === null) return null;
    this.#options.onBytes?.('read', bytes.length);
    const result = decodeResult(cacheKey, bytes);
    return result ? this.#usable(cacheKey, epoch, result) : this.#discard(cacheKey, epoch);
  }

  #usable(cacheKey: string, epoch: number, result: CachedResult): CachedResult | Promise<CachedResult | null> {
    const named = namedIn(result);
    if (named === undefined) return this.#current(result);
    const key = this.#keyOf(cacheKey, epoch);
    const reading = this.#namedReads.get(key) ?? this.#readNamed({ cacheKey, epoch }, named);
    this.#namedReads.set(key, reading);
    return reading;
  }

  /** Never rejects. The read is shared until the whole result is stored, so that the callers of a moment store the result once. */
  async #readNamed(place: { cacheKey: string; epoch: number }, named: NamedResult): Promise<CachedResult | null> {
    const { onError, named: results } = this.#options;
    const found = await results?.read(named).catch((error: unknown) => void onError(error));
    const { storedAt, freshUntil } = named;
    const result = found ? { storedAt, freshUntil, ...found } : null;
    const ttlMs = result === null ? 0 : (results?.ttlMs(named) ?? 0);
    const stored = result !== null && ttlMs > 0 ? this.#putWhole(place, result, ttlMs) : Promise.resolve();
    void stored.then(() => this.#namedReads.delete(this.#keyOf(place.cacheKey, place.epoch)));
    return result;
  }

  #putWhole(place: { cacheKey: string; epoch: number }, result: CachedResult, ttlMs: number): Promise<void> {
    const { cacheKey } = place;
    const { storedAt, freshUntil, body, output } = result;
    const params = { cacheKey, storedAt, freshUntil, output: piecesOf(output), body: body && piecesOf(body) };
    return this.put({ ...place, value: encodeResult(params), ttlMs });
  }

  #current(result: CachedResult): CachedResult {
    const { isCurrent } = this.#options;
    return result.body === null || !isCurrent || isCurrent(result.body) ? result : { ...result, body: null };
  }

  /**
   * Deletes a damaged value. A good value that another process stored meanwhile may be deleted too, which costs one
   * computation.
   */
  #discard(cacheKey: string, epoch: number): null {
    this.#options.onDamaged();
    this.#redis.del(this.#keyOf(cacheKey, epoch)).catch(this.#options.onError);
    return null;
  }
}
