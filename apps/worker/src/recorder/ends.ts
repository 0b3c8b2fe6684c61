/** Parses the entries of the recorder's stream, and divides ends into statements. */
import { isPredictionId } from '@millrace/shared/predictions/ids';

export type Entry = [id: string, fields: string[]];

/** The end of a prediction in a stream entry. */
export interface End {
  id: string;
  /** The whole live state, or '' when the state must be read from its key. */
  state: string;
}

/** An end and the size of its state in bytes. */
export interface SizedEnd extends End {
  bytes: number;
}

export function endsOf(entries: readonly Entry[]): End[] {
  const ends: End[] = [];
  for (const [, fields] of entries)
    for (let at = 0; at < fields.length; at += 2) {
      const id = fields[at]!;
      // A field that is not a prediction id cannot be recorded, and must not block other ends.
      if (isPredictionId(id)) ends.push({ id, state: fields[at + 1] ?? '' });
    }
  return ends;
}

/** Splits items, in order, into parts of at most `rows` items and `bytes` bytes. An item larger than `bytes` is a part alone. */
export function partsOf<T extends { bytes: number }>(items: readonly T[], rows: number, bytes: number): T[][] {
  const parts: T[][] = [];
  let part: T[] = [];
  let size = 0;
  for (const item of items) {
    if (part.length > 0 && (part.length >= rows || size + item.bytes > bytes)) {
      parts.push(part);
      part = [];
      size = 0;
    }
    part.push(item);
    size += item.bytes;
  }
  if (part.length > 0) parts.push(part);
  return parts;
}
