/**
 * Cached results, on the cache Redis. A value carries its key, its times and where its output lies, so that a hit goes
 * out as stored bytes and a row of a batch can be cut out of it. A dead cache means misses, never errors.
 *
 *   32 bytes  the cache key            8 bytes  stored at (Unix ms, float64 little-endian)
 *    8 bytes  fresh until (Unix ms)    4 bytes  offset of the output in the body
 *    4 bytes  length of the output     then the body: a prediction's JSON (empty: only the output is known), output
 */

import { Cluster } from 'ioredis';
import type { Keys } from './keys.ts';
import type { Connection } from './redis.ts';

const HEADER = 56;
/** Values read by one command: Redis does nothing else meanwhile. */
const AT_ONCE = 200;

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
  const outputBytes = Buffer.from(output);
  const head = Buffer.alloc(HEADER);
  head.write(cacheKey, 'hex');
  head.writeDoubleLE(storedAt, 32);
  head.writeDoubleLE(freshUntil, 40);
  if (body === null) {
    head.writeUInt32LE(0, 48);
    head.writeUInt32LE(outputBytes.length, 52);
    return Buffer.concat([head, outputBytes]);
  }
  // renderPrediction puts the output right behind this marker, and nothing before it can hold it unescaped.
  const at = body.indexOf('"output":') + '"output":'.length;
  head.writeUInt32LE(Buffer.byteLength(body.slice(0, at)), 48);
  head.writeUInt32LE(outputBytes.length, 52);
  return Buffer.concat([head, Buffer.from(body)]);
}

/** Null when the bytes are not a value for this key. */
export function decodeResult(cacheKey: string, bytes: Buffer): CachedResult | null {
  if (bytes.length < HEADER || bytes.toString('hex', 0, 32) !== cacheKey) return null;
  const at = bytes.readUInt32LE(48);
  const length = bytes.readUInt32LE(52);
  if (HEADER + at + length > bytes.length) return null;
  return {
    storedAt: bytes.readDoubleLE(32),
    freshUntil: bytes.readDoubleLE(40),
    body: at === 0 ? null : bytes.subarray(HEADER),
    output: bytes.subarray(HEADER + at, HEADER + at + length),
  };
}

export interface ResultCache {
  get(cacheKey: string, epoch: number): Promise<CachedResult | null>;
  /** In the order of the keys; null for a key of null. */
  getMany(cacheKeys: readonly (string | null)[], epoch: number): Promise<(CachedResult | null)[]>;
  put(cacheKey: string, epoch: number, value: Buffer, ttlMs: number): Promise<void>;
}

/** `onError` is told once per failed call; the call itself counts as a miss. */
export function createResultCache(redis: Connection, keys: Keys, onError: (error: unknown) => void): ResultCache {
  const name = (cacheKey: string, epoch: number) => keys.result(epoch === 0 ? cacheKey : `${epoch}:${cacheKey}`);
  async function get(cacheKey: string, epoch: number): Promise<CachedResult | null> {
    try {
      const bytes = await redis.getBuffer(name(cacheKey, epoch));
      return bytes === null ? null : decodeResult(cacheKey, bytes);
    } catch (error) {
      onError(error);
      return null;
    }
  }
  /** Keys of a cluster are spread over its masters: there each is asked for alone. */
  async function getSome(cacheKeys: readonly string[], epoch: number): Promise<(CachedResult | null)[]> {
    if (redis instanceof Cluster) return Promise.all(cacheKeys.map((cacheKey) => get(cacheKey, epoch)));
    try {
      const values = await redis.mgetBuffer(cacheKeys.map((cacheKey) => name(cacheKey, epoch)));
      return values.map((bytes, at) => bytes && decodeResult(cacheKeys[at] as string, bytes));
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
        await redis.set(name(cacheKey, epoch), value, 'PX', Math.max(1, Math.round(ttlMs)));
      } catch (error) {
        onError(error);
      }
    },
  };
}
