/**
 * The checksum of every value on the cache Redis. Cached values are returned to callers, and Redis stores values unchanged that
 * a fault of memory, a disk, a proxy or an operator has damaged. A value with a wrong checksum counts as absent.
 */
import { createHash } from 'node:crypto';
import { crc32 } from 'node:zlib';

/**
 * The number of the layouts on the cache Redis. Raise the number when the layout of a cached result or of a cached query
 * changes. The number seeds the checksum, so a value of another layout never matches. Layout 1 is that of release 0.1.0,
 * without a checksum.
 */
export const CACHE_FORMAT = 2;

/** The CRC-32 of bytes, or of text as UTF-8, as an unsigned integer. */
export const checksumOf = (content: Buffer | string): number => crc32(content, CACHE_FORMAT);

/**
 * The checksum of all pieces up to `piece`. `before` is the checksum of the pieces before `piece`; undefined for the first
 * piece.
 */
export const continueChecksum = (piece: Buffer, before: number | undefined): number =>
  crc32(piece, before ?? CACHE_FORMAT);

const BITS = 32;
/** Bits of the digest of a stamped text: enough that no two texts have the same stamp. */
const STAMP_BITS = 128;
/** The length of the end of a stamped and sealed text that differs between any two texts. */
export const STAMP_LENGTH = STAMP_BITS + BITS;

/** Bits as white space: a blank for each 0 bit, a tab for each 1 bit. */
const marks = (bits: string): string => bits.replaceAll('0', ' ').replaceAll('1', '\t');
const marksOf = (json: string): string => marks(checksumOf(json).toString(2).padStart(BITS, '0'));

/**
 * Appends a digest to JSON text as white space. After `sealJson` the last STAMP_LENGTH characters show whether a reader has read the
 * same text before. Processes of older versions parse the text as JSON.
 */
export function stampJson(json: string): string {
  const digest = createHash('sha256').update(json).digest();
  const bits = Array.from(digest.subarray(0, STAMP_BITS / 8), (byte) => byte.toString(2).padStart(8, '0'));
  return json + marks(bits.join(''));
}

/** The stamp at the end of a sealed text; undefined for a text without a stamp. */
export function stampOf(sealed: string): string | undefined {
  const end = sealed.slice(-STAMP_LENGTH);
  return end.length === STAMP_LENGTH && /^[ \t]*$/.test(end) ? end : undefined;
}

/**
 * Appends the checksum to JSON text as white space. During an upgrade, processes of 0.1.0 share cached queries with newer
 * processes, and parse the text as JSON.
 */
export const sealJson = (json: string): string => json + marksOf(json);

/** Returns the JSON text that `sealJson` sealed; undefined for every other text. */
export function unsealJson(sealed: string): string | undefined {
  const json = sealed.slice(0, -BITS);
  return sealed.length > BITS && sealed.slice(-BITS) === marksOf(json) ? json : undefined;
}
