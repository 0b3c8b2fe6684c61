/** Checks of webhook parameters beyond the JSON schemas: ids, cursors and times. */

import { ApiError } from '@millrace/shared/errors';
import { type IdPrefix, otherKind, uuidOf } from '@millrace/shared/predictions/public-ids';
import { invalidCursor } from '../http/cursor.ts';

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

const PREFIXES = { endpoint_not_found: 'we', delivery_not_found: 'whd' } as const;

/** Reads an id from a path and returns its UUID. A malformed id is an unknown id. */
export function idOf(text: string, code: keyof typeof PREFIXES): string {
  const prefix = PREFIXES[code];
  const uuid = uuidOf(prefix, UUID.test(text) ? text.toLowerCase() : text);
  if (uuid !== undefined) return uuid;
  const kind = otherKind(prefix, text);
  const shown = text.slice(0, 64);
  throw new ApiError(code, kind === undefined ? `'${shown}' is not an id.` : `'${shown}' is the id of ${kind}.`);
}

/** Reads the id of an event, which is the `webhook-id`: a UUID. Returns undefined for other text. */
export const eventIdOf = (text: string): string | undefined => (UUID.test(text) ? text.toLowerCase() : undefined);

/** Reads an id to filter by and returns its UUID. Returns null without a filter. */
export function filterId(text: string | undefined, prefix: IdPrefix, pointer: string): string | null {
  if (text === undefined) return null;
  const uuid = uuidOf(prefix, UUID.test(text) ? text.toLowerCase() : text);
  if (uuid !== undefined) return uuid;
  const expected = `an id that begins with ${prefix}_`;
  throw invalid({ pointer, message: 'The value is not an id.', expected, got: text });
}

/** Reads the id in the cursor of a list. Postgres would refuse other text. */
export function cursorId(text: string, cursor: string): string {
  if (!UUID.test(text)) throw invalidCursor('The cursor is damaged, or this API did not return the cursor.', cursor);
  return text.toLowerCase();
}

const LAST_MS = 0xffff_ffff_ffff;

/** Converts an RFC 3339 time to Unix milliseconds. */
export function timeOf(text: string, pointer: string): number {
  const ms = /^\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d{1,9})?)?(Z|[+-]\d\d:\d\d)$/.test(text)
    ? Date.parse(text)
    : Number.NaN;
  if (!(ms >= 0 && ms <= LAST_MS))
    throw invalid({
      pointer,
      message: 'The value is not a time.',
      expected: 'a time such as 2026-01-31T12:00:00Z',
      got: text,
    });
  return ms;
}

export interface InvalidParams {
  pointer: string;
  message: string;
  expected: string;
  got: string;
}

export function invalid({ pointer, message, expected, got }: InvalidParams): ApiError {
  return new ApiError('invalid_request', `${pointer}: ${message}`, {
    // A JSON pointer begins with a slash, and the name of a query parameter does not.
    faults: [
      { ...(pointer.startsWith('/') ? {} : { in: 'query' }), pointer, message, expected, got: got.slice(0, 100) },
    ],
  });
}
