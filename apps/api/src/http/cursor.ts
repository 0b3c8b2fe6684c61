/** Cursors of lists. A cursor is an opaque text that holds the last place of a page and a checksum of the list's name. */
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
  return checked({ list, cursor, bytes, place: fits ? id : undefined });
}

/** As `encodeCursor`, for lists that are not sorted by id. `place` is the place of the last item in the list: JSON values. */
export function encodePlace(list: string, place: readonly (string | number)[]): string {
  return Buffer.concat([sumOf(list), Buffer.from(JSON.stringify(place))]).toString('base64url');
}

/** Returns the values of `place`, which must have the types of `like`. Throws `invalid_cursor`. */
export function decodePlace<T extends readonly (string | number)[]>(list: string, cursor: string, like: T): T {
  const bytes = Buffer.from(cursor, 'base64url');
  return checked({ list, cursor, bytes, place: placeIn(bytes, like) });
}

function placeIn<T extends readonly (string | number)[]>(bytes: Buffer, like: T): T | undefined {
  try {
    const place: unknown = JSON.parse(bytes.toString('utf8', 4));
    return isPlace(place, like) ? place : undefined;
  } catch {
    return undefined;
  }
}

const isPlace = <T extends readonly (string | number)[]>(place: unknown, like: T): place is T =>
  Array.isArray(place) &&
  place.length === like.length &&
  place.every((value, at) => typeof value === typeof like[at] && isStorable(value));

/** Whether Postgres accepts the value as an integer or as a text. A client can write any value into a cursor. */
const isStorable = (value: unknown): boolean =>
  typeof value === 'number'
    ? Number.isSafeInteger(value)
    : typeof value === 'string' && value.isWellFormed() && !value.includes('\0');

interface Decoded<T> {
  list: string;
  cursor: string;
  bytes: Buffer;
  place: T | undefined;
}

function checked<T>({ list, cursor, bytes, place }: Decoded<T>): T {
  if (place !== undefined && bytes.subarray(0, 4).equals(sumOf(list))) return place;
  const detail =
    place === undefined
      ? 'The cursor is damaged, or this API did not return the cursor.'
      : 'The cursor belongs to a list with other filters.';
  throw invalidCursor(detail, cursor);
}

export function invalidCursor(detail: string, cursor: string): ApiError {
  const expected = '`next` of the previous page, with the same filters';
  return new ApiError('invalid_cursor', detail, {
    faults: [{ in: 'query', pointer: 'cursor', message: detail.slice(0, -1), expected, got: cursor.slice(0, 100) }],
  });
}
