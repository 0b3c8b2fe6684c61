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
export const AT_ONCE = 200;
/** Commands that read or write the values of many callers (`autoPipeline` of a connection). */
export const JOINED_COMMANDS: readonly string[] = ['getrange', 'mrGetSmall', 'mrPutSmall'];
/** The bytes of values that one command writes. */
const WRITTEN_BYTES = 131_072;
/** Longer values use the connection for large values, so that small values do not wait behind a large value. */
const SMALL_BYTES = 65_536;
/** The most bytes of values in the reply to one read. */
const REPLY_BYTES = 1_048_576;

// KEYS: values. ARGV: longest value to return, bytes of the whole reply. Returns each value; nil for none, 1 for a longer value and for a
// key of another type.
const GET_SMALL = `
local out, bytes = {}, 0
for n = 1, #KEYS do
  local length = redis.pcall('STRLEN', KEYS[n])
  if length == 0 then out[n] = false
  elseif type(length) ~= 'number' or length > tonumber(ARGV[1]) or bytes + length > tonumber(ARGV[2]) then out[n] = 1
  else
    out[n] = redis.call('GET', KEYS[n])
    bytes = bytes + length
  end
end
return out`;

// KEYS: values. ARGV: the lifetime in ms and the value of each key.
const PUT_SMALL = `
for n = 1, #KEYS do redis.call('SET', KEYS[n], ARGV[2 * n], 'PX', ARGV[2 * n - 1]) end
return #KEYS`;

export interface ResultCache {
  get(cacheKey: string, epoch: number): Promise<CachedResult | null>;
  /** Returns the results in the order of the keys; null for a key of null. */
  getMany(cacheKeys: readonly (string | null)[], epoch: number): Promise<(CachedResult | null)[]>;
  put(params: PutParams): Promise<void>;
  putMany(params: readonly PutParams[]): Promise<void>;
}

export interface PutParams {
  cacheKey: string;
  epoch: number;
  value: EncodedResult;
  ttlMs: number;
}

/** The place of a result. */
type Place = Pick<PutParams, 'cacheKey' | 'epoch'>;
/** A small value, 1 for a value that must be read alone, or null for no value. */
type SmallValue = Buffer | number | null;
/** In the order of the keys. */
type SmallValues = SmallValue[];

/** Receives the value of one read: one of the two methods is called, once. */
interface ReadListener {
  onResult(value: SmallValue): void;
  onError(error: unknown): void;
}

type AddRead = (place: Place, listener: ReadListener) => void;

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
  /**
   * Gathers the reads of many callers into calls of `run`, each of at most AT_ONCE places, and returns the function that adds a read. Without
   * `gather`, and in a cluster, each read has its own command.
   */
  gather?(run: (places: readonly Place[]) => Promise<SmallValues>): AddRead;
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

type Scripted = Connection & {
  mrGetSmallBuffer(numberOfKeys: number, ...args: (string | number)[]): Promise<SmallValues>;
  mrPutSmall(numberOfKeys: number, ...args: (string | number | Buffer)[]): Promise<number>;
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
  readonly #gathered: AddRead | undefined;

  constructor(redis: Connection, keys: Keys, options: ResultCacheOptions) {
    // A defined command instead of `call`: the automatic pipelines of ioredis lose the name of a command that `call` sends.
    redis.defineCommand('mrGetSmall', { lua: GET_SMALL });
    redis.defineCommand('mrPutSmall', { lua: PUT_SMALL });
    this.#redis = redis as Scripted;
    this.#large = options.large ?? redis;
    this.#keys = keys;
    this.#options = options;
    // The keys of a cluster are on several masters.
    const gather = redis instanceof Cluster ? undefined : options.gather;
    this.#gathered = gather?.((places) => this.#readValues(places));
  }

  get(cacheKey: string, epoch: number): Promise<CachedResult | null> {
    const place = { cacheKey, epoch };
    const add = this.#gathered;
    if (add === undefined) return this.#getAlone(place);
    // One promise for each read: an async function and the promise of a batcher took 2 KB for each waiting request.
    return new Promise((resolve) =>
      add(place, {
        onResult: (value) => resolve(value === null ? null : this.#found(place, value)),
        onError: (error) => resolve(this.#failed(place, error)),
      }),
    );
  }

  async #found(place: Place, value: Buffer | number): Promise<CachedResult | null> {
    if (typeof value === 'number') return this.#getAlone(place);
    try {
      return await this.#wholeOf(place, value);
    } catch (error) {
      return this.#failed(place, error);
    }
  }

  /** Reads a result with its own command. */
  async #getAlone(place: Place): Promise<CachedResult | null> {
    try {
      return await this.#wholeOf(place, await this.#beginningOf(place));
    } catch (error) {
      return this.#failed(place, error);
    }
  }

  #beginningOf({ cacheKey, epoch }: Place): Promise<Buffer> {
    return this.#redis.getrangeBuffer(this.#keyOf(cacheKey, epoch), 0, SMALL_BYTES - 1);
  }

  /** The result whose value begins with these bytes. Reads the rest of a long value. */
  async #wholeOf({ cacheKey, epoch }: Place, beginning: Buffer | null): Promise<CachedResult | null> {
    if (beginning === null || beginning.length === 0) return null;
    if (!isCut(beginning, SMALL_BYTES)) return this.#decode(cacheKey, epoch, beginning);
    const long = await readLongValue(this.#large, this.#keyOf(cacheKey, epoch), CHECKSUM_BYTES);
    if (long === null) return null;
    this.#options.onBytes?.('read', beginning.length + long.value.length);
    const [first] = long.value.pieces;
    const isOnePiece = long.value.pieces.length === 1 && first !== undefined;
    const whole = isOnePiece ? decodeResult(cacheKey, first) : decodeLongResult(cacheKey, long);
    return whole ? this.#usable(cacheKey, epoch, whole) : this.#discard(cacheKey, epoch);
  }

  #failed({ cacheKey, epoch }: Place, error: unknown): null {
    if (isWrongType(error)) return this.#discard(cacheKey, epoch);
    this.#options.onError(error);
    return null;
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

  async putMany(params: readonly PutParams[]): Promise<void> {
    const isShort = ({ value }: PutParams) => Buffer.isBuffer(value) && value.length <= SMALL_BYTES;
    const short = this.#redis instanceof Cluster ? [] : params.filter(isShort);
    const others = short.length === 0 ? params : params.filter((one) => !isShort(one));
    const writes = others.map((one) => this.put(one));
    for (let at = 0; at < short.length; ) {
      let bytes = 0;
      const from = at;
      while (at < short.length && bytes < WRITTEN_BYTES) bytes += short[at++]?.value.length ?? 0;
      writes.push(this.#putSome(short.slice(from, at), bytes));
    }
    await Promise.all(writes);
  }

  async #putSome(params: readonly PutParams[], bytes: number): Promise<void> {
    try {
      const keys = params.map(({ cacheKey, epoch }) => this.#keyOf(cacheKey, epoch));
      const args = params.flatMap(({ ttlMs, value }) => [Math.max(1, Math.round(ttlMs)), value as Buffer]);
      await this.#redis.mrPutSmall(keys.length, ...keys, ...args);
      this.#options.onBytes?.('written', bytes);
    } catch (error) {
      this.#options.onError(error);
    }
  }

  /** The keys of a cluster are on several masters, so each key is read alone. */
  async #getSome(cacheKeys: readonly string[], epoch: number): Promise<(CachedResult | null)[]> {
    const places = cacheKeys.map((cacheKey) => ({ cacheKey, epoch }));
    if (this.#redis instanceof Cluster) return Promise.all(places.map((place) => this.#getAlone(place)));
    try {
      const values = await this.#readSmall(places);
      return await Promise.all(
        places.map((place, at) => {
          const bytes = values[at] ?? null;
          return typeof bytes === 'number' ? this.#getAlone(place) : this.#decode(place.cacheKey, epoch, bytes);
        }),
      );
    } catch (error) {
      this.#options.onError(error);
      return cacheKeys.map(() => null);
    }
  }

  /** Rejects when Redis does not respond. A long value is read later, because the next short values wait for this call. */
  async #readValues(places: readonly Place[]): Promise<SmallValues> {
    const [first] = places;
    return first && places.length === 1 ? [await this.#beginningOf(first)] : this.#readSmall(places);
  }

  #readSmall(places: readonly Place[]): Promise<SmallValues> {
    const names = places.map(({ cacheKey, epoch }) => this.#keyOf(cacheKey, epoch));
    return this.#redis.mrGetSmallBuffer(names.length, ...names, SMALL_BYTES, REPLY_BYTES);
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
