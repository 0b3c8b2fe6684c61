/** Pages of lists that are in memory, such as the models of the registry. The cursor has the sort key of the last item of a page. */
import { decodePlace, encodePlace } from './cursor.ts';
import { limitOf, type Order, type Page, pageOf } from './list.ts';

type Key = readonly (string | number)[];

export interface MemoryPageParams<T> {
  /** The name of the list with all filters. */
  list: string;
  query: { limit?: number | undefined; cursor?: string | undefined };
  rows: readonly T[];
  /** The values by which the list is sorted. No two rows have the same key. */
  keyOf(row: T): Key;
  order: Order;
}

/** Rows that appear or disappear between two pages move no other row. Throws `invalid_cursor`. */
export function memoryPage<T>({ list, query, rows, keyOf, order }: MemoryPageParams<T>): Page<T> {
  const sign = order === 'asc' ? 1 : -1;
  const sorted = rows.toSorted((a, b) => sign * compare(keyOf(a), keyOf(b)));
  const limit = limitOf(query);
  const [first] = sorted;
  const place = query.cursor === undefined || !first ? undefined : decodePlace(list, query.cursor, keyOf(first));
  const start = place === undefined ? 0 : sorted.findIndex((row) => sign * compare(keyOf(row), place) > 0);
  const shown = start < 0 ? [] : sorted.slice(start, start + limit + 1);
  return pageOf({ rows: shown, limit, item: (row) => row, cursorAfter: (row) => encodePlace(list, keyOf(row)) });
}

/** Compares keys whose values have the same types. */
function compare(a: Key, b: Key): number {
  for (const [at, value] of a.entries()) {
    const other = b[at];
    if (other !== undefined && value !== other) return value < other ? -1 : 1;
  }
  return 0;
}
