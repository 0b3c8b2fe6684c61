/**
 * Cached results, on the cache Redis. A value carries its key, its times and where its output lies, so that a hit goes
 * out as stored bytes and a row of a batch can be cut out of it. A dead cache means misses, never errors. A damaged value is
 * a miss too: it is counted and deleted.
 *
 *    4 bytes  checksum of what follows  4 bytes  length of the whole value
 *   32 bytes  the cache key             8 bytes  stored at (Unix ms, float64 little-endian)
 *    8 bytes  fresh until (Unix ms)     4 bytes  offset of the output in the body
 *    4 bytes  length of the output      then the body: a prediction's JSON (empty: only the output is known), output
 */

import { Cluster } from 'ioredis';
import type { Connection } from '../redis/connection.ts';
import type { Keys } from '../redis/keys.ts';
import { isWrongType } from '../redis/wrong-type.ts';
import { checksumOf } from './checksum.ts';

/** Where the parts of the head begin. */
const CHECKED = 4;
const KEY = 8;
const STORED_AT = 40;
const FRESH_UNTIL = 48;
const OUTPUT_AT = 56;
const OUTPUT_LENGTH = 60;
const HEADER = 64;
/** Values read by one command: Redis does nothing else meanwhile. */
const AT_ONCE = 200;
/** A longer value goes over the connection for large values, so that no small one waits behind it. */
const SMALL_BYTES = 65_536;
/** Bytes of values in the reply to one read of many. */
const REPLY_BYTES = 1_048_576;

// KEYS: values. ARGV: longest value to return, bytes of the whole reply. Returns each value; nil for none, 1 for a longer one.
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

export interface CachedResult {
  storedAt: number;
  freshUntil: number;
  /** JSON bytes of the prediction that computed it; null when it was computed as a row of many. */
  body: Buffer | null;
  /** The same bytes as latin1 text, where it is at hand: a socket takes it together with the headers. */
  text?: string;
  /** JSON bytes of the output. */
  output: Buffer;
}

/** `body` must hold `output` at `outputAt`; a row of many has no body of its own. */
export function encodeResult(
  cacheKey: string,
  storedAt: number,
  freshUntil: number,
  output: string,
  body: string | null,
): Buffer {
  const head = Buffer.alloc(HEADER);
  head.write(cacheKey, KEY, 'hex');
  head.writeDoubleLE(storedAt, STORED_AT);
  head.writeDoubleLE(freshUntil, FRESH_UNTIL);
  head.writeUInt32LE(Buffer.byteLength(output), OUTPUT_LENGTH);
  if (body !== null) {
    // renderPrediction puts the output right behind this marker, and nothing before it can hold it unescaped.
    const at = body.indexOf('"output":') + '"output":'.length;
    head.writeUInt32LE(Buffer.byteLength(body.slice(0, at)), OUTPUT_AT);
  }
  const value = Buffer.concat([head, Buffer.from(body ?? output)]);
  value.writeUInt32LE(value.length, CHECKED);
  value.writeUInt32LE(checksumOf(value.subarray(CHECKED)), 0);
  return value;
}

/** Null when the bytes are not a whole, undamaged value for this key. */
export function decodeResult(cacheKey: string, bytes: Buffer): CachedResult | null {
  if (bytes.length < HEADER || bytes.readUInt32LE(CHECKED) !== bytes.length) return null;
  if (bytes.readUInt32LE(0) !== checksumOf(bytes.subarray(CHECKED))) return null;
  if (bytes.toString('hex', KEY, STORED_AT) !== cacheKey) return null;
  const at = bytes.readUInt32LE(OUTPUT_AT);
  const length = bytes.readUInt32LE(OUTPUT_LENGTH);
  if (HEADER + at + length > bytes.length) return null;
  return {
    storedAt: bytes.readDoubleLE(STORED_AT),
    freshUntil: bytes.readDoubleLE(FRESH_UNTIL),
    body: at === 0 ? null : bytes.subarray(HEADER),
    output: bytes.subarray(HEADER + at, HEADER + at + length),
  };
}

/** Whether these first bytes of a value say that the value is longer than a small one. */
const isCut = (bytes: Buffer): boolean => bytes.length === SMALL_BYTES && bytes.readUInt32LE(CHECKED) > SMALL_BYTES;

export interface ResultCache {
  get(cacheKey: string, epoch: number): Promise<CachedResult | null>;
  /** In the order of the keys; null for a key of null. */
  getMany(cacheKeys: readonly (string | null)[], epoch: number): Promise<(CachedResult | null)[]>;
  put(cacheKey: string, epoch: number, value: Buffer, ttlMs: number): Promise<void>;
}

export interface ResultCacheOptions {
  /** Told once per failed call; the call itself counts as a miss. */
  onError(error: unknown): void;
  /** Told of each value that was damaged; the value counts as a miss and is deleted. */
  onDamaged(): void;
  /** A second connection to the same Redis, over which long values go; without it everything shares one. */
  large?: Connection;
}

/** A small value, 1 for a value that must be read alone, or null for none: each in the order of the keys. */
type SmallValues = (Buffer | number | null)[];
type Scripted = Connection & {
  mrGetSmallBuffer(numberOfKeys: number, ...args: (string | number)[]): Promise<SmallValues>;
};

export function createResultCache(redis: Connection, keys: Keys, options: ResultCacheOptions): ResultCache {
  const { onError, onDamaged, large = redis } = options;
  // A defined command and not `call`: of a command that goes out by `call` ioredis's automatic pipelines lose the name.
  redis.defineCommand('mrGetSmall', { lua: GET_SMALL });
  const scripted = redis as Scripted;
  const name = (cacheKey: string, epoch: number) => keys.result(epoch === 0 ? cacheKey : `${epoch}:${cacheKey}`);

  /** A good value that was stored meanwhile may go with the damaged value: that costs a computation, no more. */
  function discard(cacheKey: string, epoch: number): null {
    onDamaged();
    redis.del(name(cacheKey, epoch)).catch(onError);
    return null;
  }

  const decoded = (cacheKey: string, epoch: number, bytes: Buffer | null): CachedResult | null =>
    bytes === null ? null : (decodeResult(cacheKey, bytes) ?? discard(cacheKey, epoch));

  async function get(cacheKey: string, epoch: number): Promise<CachedResult | null> {
    try {
      const key = name(cacheKey, epoch);
      const beginning = await redis.getrangeBuffer(key, 0, SMALL_BYTES - 1);
      if (beginning.length === 0) return null;
      if (!isCut(beginning)) return decoded(cacheKey, epoch, beginning);
      return decoded(cacheKey, epoch, await large.getBuffer(key));
    } catch (error) {
      if (isWrongType(error)) return discard(cacheKey, epoch);
      onError(error);
      return null;
    }
  }
  /** Keys of a cluster are spread over its masters: there each is asked for alone. */
  async function getSome(cacheKeys: readonly string[], epoch: number): Promise<(CachedResult | null)[]> {
    if (redis instanceof Cluster) return Promise.all(cacheKeys.map((cacheKey) => get(cacheKey, epoch)));
    try {
      const names = cacheKeys.map((cacheKey) => name(cacheKey, epoch));
      const values = await scripted.mrGetSmallBuffer(names.length, ...names, SMALL_BYTES, REPLY_BYTES);
      return await Promise.all(
        values.map((bytes, at) => {
          const cacheKey = cacheKeys[at] as string;
          return typeof bytes === 'number' ? get(cacheKey, epoch) : decoded(cacheKey, epoch, bytes);
        }),
      );
    } catch (error) {
      onError(error);
      return cacheKeys.map(() => null);
    }
  }
  async function getMany(cacheKeys: readonly (string | null)[], epoch: number): Promise<(CachedResult | null)[]> {
    const asked = cacheKeys.filter((cacheKey) => cacheKey !== null);
    const parts: Promise<(CachedResult | null)[]>[] = [];
    for (let at = 0; at < asked.length; at += AT_ONCE) parts.push(getSome(asked.slice(at, at + AT_ONCE), epoch));
    const found = (await Promise.all(parts)).flat();
    let next = 0;
    return cacheKeys.map((cacheKey) => (cacheKey === null ? null : (found[next++] ?? null)));
  }
  return {
    get,
    getMany,
    async put(cacheKey, epoch, value, ttlMs) {
      try {
        const connection = value.length > SMALL_BYTES ? large : redis;
        await connection.set(name(cacheKey, epoch), value, 'PX', Math.max(1, Math.round(ttlMs)));
      } catch (error) {
        onError(error);
      }
    },
  };
}
