/**
 * Parses the header `Range` of a download (RFC 9110). Only one range of bytes is supported: with any other value the response is the
 * whole file.
 */
import type { IncomingHttpHeaders } from 'node:http';
import type { BytePart } from '@millrace/shared/files/file-store';

/** `bytes=0-99`, `bytes=100-` or `bytes=-100`. */
const RANGE = /^bytes=(?:(\d{1,15})-(\d{1,15})?|-(\d{1,15}))$/i;

/** Returns the requested part, `outside` for a range that begins after the end of the file, or undefined for the whole file. */
export function partOf(
  { range, 'if-range': ifRange }: IncomingHttpHeaders,
  { bytes, etag }: { bytes: number; etag: string },
): BytePart | 'outside' | undefined {
  const found = RANGE.exec(range?.trim() ?? '');
  if (found === null) return undefined;
  // The part that the client already has belongs to another content. A date in `If-Range` never equals the ETag.
  if (ifRange !== undefined && String(ifRange).trim() !== etag) return undefined;
  const [, from, to, suffix] = found;
  if (suffix !== undefined) {
    const length = Math.min(Number(suffix), bytes);
    return length === 0 ? 'outside' : { first: bytes - length, last: bytes - 1 };
  }
  const first = Number(from);
  const last = to === undefined ? bytes - 1 : Math.min(Number(to), bytes - 1);
  // The specification calls a range with a last byte before its first invalid, and not outside.
  if (to !== undefined && Number(to) < first) return undefined;
  return first >= bytes ? 'outside' : { first, last };
}
