/**
 * The bytes of a cached result. A value contains its key, its times and the position of its output, so that a hit is sent as
 * stored bytes, and a request with several rows reads the output alone.
 *
 * - 4 bytes: checksum of all other bytes
 * - 4 bytes: length of the whole value
 * - 32 bytes: the cache key
 * - 8 bytes: stored at (Unix ms, float64 little-endian)
 * - 8 bytes: fresh until (Unix ms)
 * - 4 bytes: offset of the output in the body
 * - 4 bytes: length of the output
 * - all other bytes: the body, a prediction's JSON with the output; without a body, the output
 */

import { PIECE_BYTES, type Pieces } from '../redis/long-values.ts';
import { checksumOf } from './checksum.ts';
import type { LongValue } from './long-values.ts';

/** The offsets of the parts of the head. */
const CHECKED = 4;
const KEY = 8;
const STORED_AT = 40;
const FRESH_UNTIL = 48;
const OUTPUT_AT = 56;
const OUTPUT_LENGTH = 60;
const HEADER = 64;

/** The length of the checksum. The checksum covers all bytes after the checksum. */
export const CHECKSUM_BYTES = CHECKED;

export interface CachedResult {
  storedAt: number;
  freshUntil: number;
  /**
   * The JSON bytes of the prediction that computed the result; null when a prediction with several rows computed the result.
   */
  body: Buffer | Pieces | null;
  /** The body as latin1 text, where already converted: a socket takes the text together with the headers. */
  text?: string;
  /** The JSON bytes of the output. */
  output: Buffer | Pieces;
}

/** A value in the form that `put` stores. A long value has no checksum yet: `put` computes the checksum during the write. */
export type EncodedResult = Buffer | Pieces;

export interface EncodeParams {
  cacheKey: string;
  storedAt: number;
  freshUntil: number;
  output: string | Pieces;
  /** A prediction's JSON that contains `output`; null for a row of a prediction with several rows. */
  body: string | Pieces | null;
}

export function encodeResult(params: EncodeParams & { output: string; body: string | null }): Buffer;
export function encodeResult(params: EncodeParams): EncodedResult;
export function encodeResult(params: EncodeParams): EncodedResult {
  const content = params.body ?? params.output;
  if (typeof content !== 'string' && content.length > PIECE_BYTES) {
    const head = Buffer.alloc(HEADER);
    const length = HEADER + content.length;
    writeHead(head, params, length);
    return { pieces: [head, ...content.pieces], length };
  }
  const length = HEADER + (typeof content === 'string' ? Buffer.byteLength(content) : content.length);
  const value = Buffer.allocUnsafe(length).fill(0, 0, HEADER);
  writeHead(value, params, length);
  if (typeof content === 'string') value.write(content, HEADER);
  else copyPieces(content, value);
  value.writeUInt32LE(checksumOf(value.subarray(CHECKED)), 0);
  return value;
}

/** Writes the head without the checksum. The bytes of the head must be 0. */
function writeHead(head: Buffer, { cacheKey, storedAt, freshUntil, output, body }: EncodeParams, length: number): void {
  head.writeUInt32LE(length, CHECKED);
  head.write(cacheKey, KEY, STORED_AT - KEY, 'hex');
  head.writeDoubleLE(storedAt, STORED_AT);
  head.writeDoubleLE(freshUntil, FRESH_UNTIL);
  head.writeUInt32LE(typeof output === 'string' ? Buffer.byteLength(output) : output.length, OUTPUT_LENGTH);
  if (body !== null) head.writeUInt32LE(outputAt(body), OUTPUT_AT);
}

function copyPieces({ pieces }: Pieces, value: Buffer): void {
  let end = HEADER;
  for (const piece of pieces) end += piece.copy(value, end);
}

/** The fields of a prediction's JSON before its output are an id and two names. */
const BEGINNING_BYTES = 4_096;

/** The bytes of a prediction's JSON before its output. */
function outputAt(body: string | Pieces): number {
  // renderPrediction writes the output after this marker. The text before the marker cannot contain the marker unescaped.
  const marker = '"output":';
  if (typeof body === 'string') return Buffer.byteLength(body.slice(0, body.indexOf(marker) + marker.length));
  return beginningOf(body).indexOf(marker) + marker.length;
}

/** The first bytes of a prediction's JSON, with a character for each byte: a piece can end inside of a character of UTF-8. */
function beginningOf({ pieces }: Pieces): string {
  let beginning = '';
  for (const piece of pieces) {
    beginning += piece.toString('latin1', 0, BEGINNING_BYTES);
    if (beginning.length >= BEGINNING_BYTES) break;
  }
  return beginning;
}

/** Returns null when the bytes are not a whole, undamaged value for this key. */
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

/** Decodes a value that was read in pieces. */
export function decodeLongResult(cacheKey: string, { value, checksum }: LongValue): CachedResult | null {
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
  /** The length of the whole value. */
  bytes: number;
  /** The checksum of the whole value after the first 4 bytes. */
  checksum: number;
}

/** Returns the times and the position of the output; null when the value is damaged, cut or of another key. */
function placesIn({ cacheKey, head, bytes, checksum }: Whole) {
  if (head.readUInt32LE(CHECKED) !== bytes || head.readUInt32LE(0) !== checksum) return null;
  if (head.toString('hex', KEY, STORED_AT) !== cacheKey) return null;
  const at = HEADER + head.readUInt32LE(OUTPUT_AT);
  const end = at + head.readUInt32LE(OUTPUT_LENGTH);
  if (end > bytes) return null;
  return { storedAt: head.readDoubleLE(STORED_AT), freshUntil: head.readDoubleLE(FRESH_UNTIL), at, end };
}

/** Whether the first bytes of a value, from a read of at most `read` bytes, are not the whole value. */
export const isCut = (bytes: Buffer, read: number): boolean =>
  bytes.length === read && bytes.readUInt32LE(CHECKED) > read;
