/** Long values of the cache, in pieces, with a checksum in their first bytes that is computed piece by piece. */
import type { Connection } from '../redis/connection.ts';
import { type Pieces, readPieces, writePieces } from '../redis/long-values.ts';
import { continueChecksum } from './checksum.ts';

export interface LongValueParams {
  redis: Connection;
  key: string;
  /** A key of this writer, in the slot of `key`. */
  written: string;
  value: Pieces;
  /** The first bytes of the value, which hold the checksum of all other bytes. */
  checksumBytes: number;
  ttlMs: number;
}

/** Writes a value with the checksum of its content. A value of which Redis lost a part is deleted. */
export async function writeLongValue(params: LongValueParams): Promise<void> {
  const { redis, key, written, value, checksumBytes, ttlMs } = params;
  const sum = new ChecksumBehind(checksumBytes);
  if (!(await writePieces(redis, { key: written, value, onPiece: (piece) => sum.add(piece) }))) return;
  const checksum = Buffer.alloc(checksumBytes);
  checksum.writeUInt32LE(sum.value);
  // Redis may have lost the key since: SETRANGE then makes a value of another length.
  if ((await redis.setrange(written, 0, checksum)) !== value.length) {
    await redis.del(written);
    return;
  }
  await redis.rename(written, key);
  await redis.pexpire(key, ttlMs);
}

/** Two values of one key differ in these bytes, which hold the checksum and the time at which the value was stored. */
const HEAD_BYTES = 64;

/**
 * Reads a value, and computes the checksum of the bytes behind its first `checksumBytes`. Returns null where there is no value,
 * or where another value replaced the value between two pieces.
 */
export async function readLongValue(redis: Connection, key: string, checksumBytes: number) {
  const sum = new ChecksumBehind(checksumBytes);
  const value = await readPieces(redis, { key, onPiece: (piece) => sum.add(piece) });
  const [first] = value.pieces;
  if (first === undefined) return null;
  if (value.pieces.length > 1) {
    const again = await redis.getrangeBuffer(key, 0, HEAD_BYTES - 1);
    if (!again.equals(first.subarray(0, HEAD_BYTES))) return null;
  }
  return { value, checksum: sum.value };
}

export type LongValue = NonNullable<Awaited<ReturnType<typeof readLongValue>>>;

/** The checksum of a value's bytes after the first `skipped` bytes, computed piece by piece. */
class ChecksumBehind {
  readonly #skipped: number;
  #sum: number | undefined;

  constructor(skipped: number) {
    this.#skipped = skipped;
  }

  add(piece: Buffer): void {
    this.#sum = continueChecksum(this.#sum === undefined ? piece.subarray(this.#skipped) : piece, this.#sum);
  }

  get value(): number {
    return this.#sum ?? 0;
  }
}
