/**
 * The checksum that every value on the cache Redis carries. A cache is trusted with answers, and Redis keeps what a fault of
 * memory, a disk, a proxy or a hand makes of them. A value whose checksum does not fit counts as absent.
 */
import { crc32 } from 'node:zlib';

/**
 * Number of the layouts on the cache Redis: raise it when the layout of a cached result or of a cached query changes. The
 * number seeds the checksum, so a value of another layout never fits. 1 was the layout of 0.1.0, which had no checksum.
 */
export const CACHE_FORMAT = 2;

/** CRC-32 of some bytes (of text: as UTF-8), as an unsigned integer. */
export const checksumOf = (content: Buffer | string): number => crc32(content, CACHE_FORMAT);

const BITS = 32;

/** 32 bits as white space: a blank for 0, a tab for 1. */
const marksOf = (json: string): string =>
  checksumOf(json).toString(2).padStart(BITS, '0').replaceAll('0', ' ').replaceAll('1', '\t');

/**
 * JSON text with its checksum behind it, in white space. Processes of 0.1.0 share cached queries with newer processes during
 * an upgrade, and parse the text as they always did.
 */
export const sealJson = (json: string): string => json + marksOf(json);

/** The JSON text that `sealJson` sealed; undefined for anything else. */
export function unsealJson(sealed: string): string | undefined {
  const json = sealed.slice(0, -BITS);
  return sealed.length > BITS && sealed.slice(-BITS) === marksOf(json) ? json : undefined;
}
