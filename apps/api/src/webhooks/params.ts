/** What callers of the webhook routes pass, checked beyond its schema. */
import { ApiError } from '@millrace/shared/errors';

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

/** An id in a path; one that cannot be is as unknown as one that is not there. */
export function idOf(text: string, code: 'endpoint_not_found' | 'delivery_not_found'): string {
  if (!UUID.test(text)) throw new ApiError(code, `There is no '${text.slice(0, 64)}'.`);
  return text.toLowerCase();
}

/** An id to filter by; null for none. */
export function filterId(text: string | undefined, pointer: string): string | null {
  if (text === undefined) return null;
  if (!UUID.test(text)) throw invalid(pointer, 'It is not an id.', 'a UUID', text);
  return text.toLowerCase();
}

/** Pages are continued after the last id of the page before. */
export function cursorId(text: string | undefined): string | null {
  if (text === undefined) return null;
  if (!UUID.test(text)) throw invalidCursor('/cursor', text);
  return text.toLowerCase();
}

/** The place in the feed after which to go on; 0 is its beginning. */
export function cursorSequence(text: string | undefined): number {
  if (text === undefined || text === '') return 0;
  const sequence = /^\d{1,16}$/.test(text) ? Number(text) : Number.NaN;
  if (!Number.isSafeInteger(sequence)) throw invalidCursor('/after', text);
  return sequence;
}

const LAST_MS = 0xffff_ffff_ffff;

/** Unix milliseconds of a time as RFC 3339 writes it. */
export function timeOf(text: string, pointer: string): number {
  const ms = /^\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d{1,9})?)?(Z|[+-]\d\d:\d\d)$/.test(text)
    ? Date.parse(text)
    : Number.NaN;
  if (!(ms >= 0 && ms <= LAST_MS)) throw invalid(pointer, 'It is not a time.', 'a time, as 2026-01-31T12:00:00Z', text);
  return ms;
}

function invalidCursor(pointer: string, got: string): ApiError {
  const shown = got.slice(0, 100);
  return new ApiError('invalid_cursor', `'${shown}' is not a cursor of ours: expected \`next\` of the page before.`, {
    faults: [{ pointer, message: 'It is not a cursor of ours', expected: '`next` of the page before', got: shown }],
  });
}

export function invalid(pointer: string, message: string, expected: string, got: string): ApiError {
  return new ApiError('invalid_request', `${pointer}: ${message}`, {
    faults: [{ pointer, message, expected, got: got.slice(0, 100) }],
  });
}
