/** Ends as the recorder's stream names them, and how they are divided into statements. */
import { isPredictionId } from '@millrace/shared/predictions/ids';

export type Entry = [id: string, fields: string[]];

/** An end as the stream tells it. */
export interface End {
  id: string;
  /** The whole state; '' where the state must be read. */
  state: string;
}

/** An end, and the bytes that its state takes. */
export interface SizedEnd extends End {
  bytes: number;
}

export function endsOf(entries: readonly Entry[]): End[] {
  const ends: End[] = [];
  for (const [, fields] of entries)
    for (let at = 0; at < fields.length; at += 2) {
      const id = fields[at] as string;
      // What names no prediction can be recorded by nobody, and must not hold up the others.
      if (isPredictionId(id)) ends.push({ id, state: fields[at + 1] ?? '' });
    }
  return ends;
}

/** Parts of at most `rows` items and `bytes` bytes, in order; an item that is larger than `bytes` is a part alone. */
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
