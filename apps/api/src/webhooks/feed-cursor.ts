/** Cursors of the event feed. A cursor is an opaque text. The numbers that 0.1.0 gave as cursors stay valid. */
import { decodePlace, encodePlace, invalidCursor } from '../http/cursor.ts';

const LIST = 'events';

/** The cursor after the event with this sequence number. */
export const feedCursor = (sequence: number): string => encodePlace(LIST, [sequence]);

/** Returns the sequence number after which a page starts; undefined without a cursor. Throws `invalid_cursor`. */
export function sequenceOf(cursor: string | undefined): number | undefined {
  if (cursor === undefined || cursor === '') return undefined;
  const sequence = /^\d{1,16}$/.test(cursor) ? Number(cursor) : decodePlace(LIST, cursor, [0] as const)[0];
  if (Number.isSafeInteger(sequence) && sequence >= 0) return sequence;
  throw invalidCursor('The cursor is damaged, or this API did not return the cursor.', cursor);
}
