/** Cursors of lists. A cursor is an opaque text that holds the last id of a page and a checksum of the list's name. */
import { createHash } from 'node:crypto';
import { ApiError } from '@millrace/shared/errors';
import { isPredictionId } from '@millrace/shared/predictions/ids';

const sumOf = (list: string): Buffer => createHash('sha256').update(list).digest().subarray(0, 4);

/** `list` names the list with all filters. The cursor is invalid for every other list. */
export function encodeCursor(list: string, lastId: string): string {
  return Buffer.concat([sumOf(list), Buffer.from(lastId.replaceAll('-', ''), 'hex')]).toString('base64url');
}

/** Returns the last id of the previous page. Throws `invalid_cursor`. */
export function decodeCursor(list: string, cursor: string): string {
  const bytes = Buffer.from(cursor, 'base64url');
  const hex = bytes.toString('hex', 4);
  const id = [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join('-');
  const fits = bytes.length === 20 && bytes.toString('base64url') === cursor && isPredictionId(id);
  if (fits && bytes.subarray(0, 4).equals(sumOf(list))) return id;
  const detail = fits ? 'The cursor is of a list with other filters.' : 'The cursor is not one of ours.';
  const expected = '`next` of the page before, with the same filters';
  throw new ApiError('invalid_cursor', detail, {
    faults: [{ pointer: 'cursor', message: detail.slice(0, -1), expected, got: cursor.slice(0, 100) }],
  });
}
