/**
 * Reads and writes long values of Redis in pieces, so that the duration of a command and of a turn of the event loop does not
 * grow with the value. A writer writes the pieces under a separate key and renames the key: no reader finds a part of a value.
 */
import { LongText } from '../predictions/long-text.ts';
import { isRefusal } from './redis-fault.ts';

/** Bytes that one command reads or writes. A value of at most this many bytes needs one command. */
export const PIECE_BYTES = 524_288;
/** How long Redis keeps the key of a writer that died: this long, and one second more for each piece. */
const WRITTEN_TTL_MS = 60_000;
const TTL_PER_PIECE_MS = 1_000;

/** Bytes in pieces, for example a LongText. */
export interface Pieces {
  readonly pieces: readonly Buffer[];
  /** Bytes of all pieces together. */
  readonly length: number;
}

export interface PieceWriter {
  set(key: string, value: Buffer, px: 'PX', ms: number): Promise<unknown>;
  append(key: string, value: Buffer): Promise<number>;
  del(key: string): Promise<unknown>;
}

export interface PieceReader {
  getrangeBuffer(key: string, from: number, to: number): Promise<Buffer>;
}

export interface WritePiecesParams {
  /** A key that no other writer uses. */
  key: string;
  value: Pieces;
  /** Called with each piece that is written, in order. */
  onPiece?(piece: Buffer): void;
}

/**
 * Writes a value under a key that expires. Returns false, and deletes the key, if Redis has other bytes than the writer sent. Redis
 * can lose the key or a piece, and executes an APPEND twice if the connection fails before the reply.
 */
export async function writePieces(redis: PieceWriter, { key, value, onPiece }: WritePiecesParams): Promise<boolean> {
  const ttlMs = WRITTEN_TTL_MS + TTL_PER_PIECE_MS * Math.ceil(value.length / PIECE_BYTES);
  let bytes = 0;
  try {
    for (const piece of evenPieces(value)) {
      const length = bytes + piece.length;
      if (bytes === 0) await redis.set(key, piece, 'PX', ttlMs);
      const stored = bytes === 0 ? length : await redis.append(key, piece);
      onPiece?.(piece);
      bytes = length;
      if (stored === length) continue;
      await redis.del(key);
      return false;
    }
    return true;
  } catch (error) {
    // Frees memory if Redis refused a piece for want of memory. The key expires if this command fails too.
    if (isRefusal(error)) await redis.del(key).catch(() => {});
    throw error;
  }
}

export interface ReadPiecesParams {
  key: string;
  /** Called with each piece that is read, in order. */
  onPiece?(piece: Buffer): void;
}

/**
 * Reads all bytes of a value; an empty text where there is no value. Another writer can replace the value between two pieces:
 * the caller checks that all pieces are of one value.
 */
export async function readPieces(redis: PieceReader, { key, onPiece }: ReadPiecesParams): Promise<LongText> {
  const pieces: Buffer[] = [];
  for (let bytes = 0; ; ) {
    const piece = await redis.getrangeBuffer(key, bytes, bytes + PIECE_BYTES - 1);
    bytes += piece.length;
    if (piece.length > 0) {
      pieces.push(piece);
      onPiece?.(piece);
    }
    if (piece.length < PIECE_BYTES) return new LongText(pieces);
  }
}

/** The bytes in pieces of nearly PIECE_BYTES, without an empty piece: few commands, and no long command. */
export function* evenPieces({ pieces }: Pieces): Generator<Buffer> {
  let parts: Buffer[] = [];
  let bytes = 0;
  for (const piece of pieces) {
    for (let at = 0; at < piece.length; at += PIECE_BYTES) {
      const part = piece.subarray(at, at + PIECE_BYTES);
      if (bytes > 0 && bytes + part.length > PIECE_BYTES) {
        yield joined(parts, bytes);
        parts = [];
        bytes = 0;
      }
      parts.push(part);
      bytes += part.length;
    }
  }
  if (bytes > 0) yield joined(parts, bytes);
}

const joined = (parts: readonly Buffer[], bytes: number): Buffer =>
  parts.length === 1 && parts[0] !== undefined ? parts[0] : Buffer.concat(parts, bytes);
