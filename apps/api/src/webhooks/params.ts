/** Checks of webhook parameters beyond the JSON schemas: ids, cursors and times. */
import { ApiError } from '@millrace/shared/errors';

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

/** Reads an id from a path. A malformed id is an unknown id. */
export function idOf(text: string, code: 'endpoint_not_found' | 'delivery_not_found'): string {
  if (!UUID.test(text)) throw new ApiError(code, `'${text.slice(0, 64)}' is not an id.`);
  return text.toLowerCase();
}

/** Reads an id to filter by. Returns null without a filter. */
export function filterId(text: string | undefined, pointer: string): string | null {
  if (text === undefined) return null;
  if (!UUID.test(text)) throw invalid({ pointer, message: 'The value is not an id.', expected: 'a UUID', got: text });
  return text.toLowerCase();
}

/** Reads the cursor of a list: the last id of the previous page. */
export function cursorId(text: string | undefined): string | null {
  if (text === undefined) return null;
  if (!UUID.test(text)) throw invalidCursor('/cursor', text);
  return text.toLowerCase();
}

/** Reads the cursor of the feed: the sequence number after which the page starts. 0 is the start of the feed. */
export function cursorSequence(text: string | undefined): number {
  if (text === undefined || text === '') return 0;
  const sequence = /^\d{1,16}$/.test(text) ? Number(text) : Number.NaN;
  if (!Number.isSafeInteger(sequence)) throw invalidCursor('/after', text);
  return sequence;
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

function invalidCursor(pointer: string, got: string): ApiError {
  const shown = got.slice(0, 100);
  return new ApiError('invalid_cursor', `Invalid cursor '${shown}': expected \`next\` of the previous page.`, {
    faults: [
      {
        pointer,
        message: 'The value is not a cursor of this API.',
        expected: '`next` of the previous page',
        got: shown,
      },
    ],
  });
}

export interface InvalidParams {
  pointer: string;
  message: string;
  expected: string;
  got: string;
}

export function invalid({ pointer, message, expected, got }: InvalidParams): ApiError {
  return new ApiError('invalid_request', `${pointer}: ${message}`, {
    faults: [{ pointer, message, expected, got: got.slice(0, 100) }],
  });
}
