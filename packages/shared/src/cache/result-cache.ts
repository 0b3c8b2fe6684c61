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

import { randomUUID } from 'node:crypto';
import { Cluster } from 'ioredis';
import type { Connection } from '../redis/connection.ts';
import type { Keys } from '../redis/keys.ts';
import { PIECE_BYTES, type Pieces } from '../redis/long-values.ts';
import { isWrongType } from '../redis/wrong-type.ts';
import { checksumOf } from './checksum.ts';
import { readLongValue, writeLongValue } from './long-values.ts';

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
  body: Buffer | Pieces | null;
  /** The same bytes as latin1 text, where it is at hand: a socket takes it together with the headers. */
  text?: string;
  /** JSON bytes of the output. */
  output: Buffer | Pieces;
}

/** A value as `put` takes it. A long value has no checksum yet: `put` computes the checksum while it writes the value. */
export type EncodedResult = Buffer | Pieces;

/** `body` is a prediction's JSON that holds `output`; a row of many has no body of its own. */
export function encodeResult(
  cacheKey: string,
  storedAt: number,
  freshUntil: number,
  output: string,
  body: string | null,
): Buffer;
export function encodeResult(
  cacheKey: string,
  storedAt: number,
  freshUntil: number,
  output: string | Pieces,
  body: string | Pieces | null,
): EncodedResult;
export function encodeResult(
  cacheKey: string,
  storedAt: number,
  freshUntil: number,
  output: string | Pieces,
  body: string | Pieces | null,
): EncodedResult {
  const head = Buffer.alloc(HEADER);
  head.write(cacheKey, KEY, 'hex');
  head.writeDoubleLE(storedAt, STORED_AT);
  head.writeDoubleLE(freshUntil, FRESH_UNTIL);
  head.writeUInt32LE(typeof output === 'string' ? Buffer.byteLength(output) : output.length, OUTPUT_LENGTH);
  if (body !== null) {
    // renderPrediction puts the output right behind this marker, and nothing before it can hold it unescaped.
    const beginning = typeof body === 'string' ? body : beginningOf(body);
    const at = beginning.indexOf('"output":') + '"output":'.length;
    head.writeUInt32LE(Buffer.byteLength(beginning.slice(0, at)), OUTPUT_AT);
  }
  const content = body ?? output;
  if (typeof content !== 'string' && content.length > PIECE_BYTES) {
    const length = HEADER + content.length;
    head.writeUInt32LE(length, CHECKED);
    return { pieces: [head, ...content.pieces], length };
  }
  const parts = typeof content === 'string' ? [Buffer.from(content)] : content.pieces;
  const value = Buffer.concat([head, ...parts]);
  value.writeUInt32LE(value.length, CHECKED);
  value.writeUInt32LE(checksumOf(value.subarray(CHECKED)), 0);
  return value;
}

/** The fields of a prediction's JSON before its output are an id and two names. */
const BEGINNING_BYTES = 4_096;

/** The first bytes of a prediction's JSON, with the name of the member `output` in them. */
function beginningOf({ pieces }: Pieces): string {
  let beginning = '';
  for (const piece of pieces) {
    beginning += piece.toString('utf8', 0, BEGINNING_BYTES);
    if (beginning.length >= BEGINNING_BYTES) break;
  }
  return beginning;
}

/** Null when the bytes are not a whole, undamaged value for this key. */
export function decodeResult(cacheKey: string, bytes: Buffer): CachedResult | null {
  if (bytes.length < HEADER) return null;
  const places = placesIn({
    cacheKey,
    head: bytes,
    bytes: bytes.length,
    checksum: checksumOf(bytes.subarray(CHECKED)),
  });
  if (places === null) return null;
  const { storedAt, freshUntil, at, end } = places;
  return {
    storedAt,
    freshUntil,
    body: at === HEADER ? null : bytes.subarray(HEADER),
    output: bytes.subarray(at, end),
  };
}

type LongValue = NonNullable<Awaited<ReturnType<typeof readLongValue>>>;

/** As `decodeResult`, of a value that was read in pieces. */
function decodeLong(cacheKey: string, { value, checksum }: LongValue): CachedResult | null {
  const [head] = value.pieces;
  if (head === undefined || head.length < HEADER) return null;
  const places = placesIn({ cacheKey, head, bytes: value.length, checksum });
  if (places === null) return null;
  const { storedAt, freshUntil, at, end } = places;
  return { storedAt, freshUntil, body: at === HEADER ? null : value.slice(HEADER), output: value.slice(at, end) };
}

interface Whole {
  cacheKey: string;
  head: Buffer;
  /** Of the whole value. */
  bytes: number;
  /** Of the whole value behind its first 4 bytes. */
  checksum: number;
}

/** Where the output lies in a value; null when the value is damaged, cut or of another key. */
function placesIn({ cacheKey, head, bytes, checksum }: Whole) {
  if (head.readUInt32LE(CHECKED) !== bytes || head.readUInt32LE(0) !== checksum) return null;
  if (head.toString('hex', KEY, STORED_AT) !== cacheKey) return null;
  const at = HEADER + head.readUInt32LE(OUTPUT_AT);
  const end = at + head.readUInt32LE(OUTPUT_LENGTH);
  if (end > bytes) return null;
  return { storedAt: head.readDoubleLE(STORED_AT), freshUntil: head.readDoubleLE(FRESH_UNTIL), at, end };
}

/** Whether these first bytes of a value say that the value is longer than a small one. */
const isCut = (bytes: Buffer): boolean => bytes.length === SMALL_BYTES && bytes.readUInt32LE(CHECKED) > SMALL_BYTES;

export interface ResultCache {
  get(cacheKey: string, epoch: number): Promise<CachedResult | null>;
  /** In the order of the keys; null for a key of null. */
  getMany(cacheKeys: readonly (string | null)[], epoch: number): Promise<(CachedResult | null)[]>;
  put(cacheKey: string, epoch: number, value: EncodedResult, ttlMs: number): Promise<void>;
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
      const long = await readLongValue(large, key, CHECKED);
      if (long === null) return null;
      const [first] = long.value.pieces;
      const isOnePiece = long.value.pieces.length === 1 && first !== undefined;
      const whole = isOnePiece ? decodeResult(cacheKey, first) : decodeLong(cacheKey, long);
      return whole ?? discard(cacheKey, epoch);
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
        const px = Math.max(1, Math.round(ttlMs));
        if (!Buffer.isBuffer(value)) {
          const key = name(cacheKey, epoch);
          const written = keys.resultWritten(key, randomUUID());
          return await writeLongValue({ redis: large, key, written, value, checksumBytes: CHECKED, ttlMs: px });
        }
        const connection = value.length > SMALL_BYTES ? large : redis;
        await connection.set(name(cacheKey, epoch), value, 'PX', px);
      } catch (error) {
        onError(error);
      }
    },
  };
}
