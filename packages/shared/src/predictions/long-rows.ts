/**
 * Joins the outputs of rows along their first dimension by their JSON text: no number is parsed, and no data is copied.
 * `tensorsToJson` writes the text that this file reads.
 */
import { joinTexts, LongText, piecesOf, type Text } from './long-text.ts';

const [QUOTE, BACKSLASH, OPEN, CLOSE, BRACE] = [0x22, 0x5c, 0x5b, 0x5d, 0x7d];
/** The longest text of a name, a type or a shape. */
const SHORT_BYTES = 4_096;

/** One tensor of one row. `items` is the text between the brackets of the data. */
interface TensorText {
  name: string;
  dtype: string;
  shape: number[];
  items: LongText;
  /** The text between the brackets of `label`; undefined for a tensor without labels. */
  labels: LongText | undefined;
}

/** The JSON text of the joined tensors; undefined if a row has another form, or if the rows differ in their tensors. */
export function joinLongRows(rows: readonly Text[]): LongText | undefined {
  const parsed: TensorText[][] = [];
  for (const row of rows) {
    const tensors = tensorTexts(row instanceof LongText ? row : new LongText(piecesOf(row)));
    if (tensors === undefined) return undefined;
    parsed.push(tensors);
  }
  const [first = []] = parsed;
  const isSame = parsed.every(
    (row) =>
      row.length === first.length &&
      row.every(({ name, labels }, at) => name === first[at]?.name && !labels === !first[at]?.labels),
  );
  if (!isSame) return undefined;
  const texts: Text[] = [];
  for (const [at, { name, dtype, shape, labels }] of first.entries()) {
    const parts = parsed.flatMap((row) => row[at] ?? []);
    const count = parts.reduce((sum, part) => sum + (part.shape[0] ?? 0), 0);
    const dims = JSON.stringify([count, ...shape.slice(1)]);
    texts.push(`${at === 0 ? '{' : ','}${name}:{"dtype":"${dtype}","shape":${dims},"data":[`);
    texts.push(...withCommas(parts.map(({ items }) => items)), ']');
    if (labels) texts.push(',"label":[', ...withCommas(parts.flatMap((part) => part.labels ?? [])), ']');
    texts.push('}');
  }
  texts.push('}');
  return joinTexts(texts);
}

/** The lists that have items, with a comma between two lists. */
const withCommas = (lists: readonly LongText[]): Text[] =>
  lists.filter(({ length }) => length > 0).flatMap((list, at) => (at === 0 ? [list] : [',', list]));

function tensorTexts(row: LongText): TensorText[] | undefined {
  const reader = new Reader(row);
  if (!reader.skip('{')) return undefined;
  const tensors: TensorText[] = [];
  do {
    const name = reader.string();
    if (name === undefined || !reader.skip(':{"dtype":')) return undefined;
    const dtype = reader.string();
    if (dtype === undefined || !reader.skip(',"shape":[')) return undefined;
    const shape = reader.list(false)?.toString();
    if (!shape || !reader.skip(',"data":[')) return undefined;
    const items = reader.list(dtype === '"string"');
    if (items === undefined) return undefined;
    const labels = reader.skip(',"label":[') ? reader.list(true) : undefined;
    if (!reader.skip('}')) return undefined;
    tensors.push({ name, dtype: String(JSON.parse(dtype)), shape: shape.split(',').map(Number), items, labels });
  } while (reader.skip(','));
  return reader.skip('}') && reader.isAtEnd ? tensors : undefined;
}

class Reader {
  readonly #text: LongText;
  #at = 0;

  constructor(text: LongText) {
    this.#text = text;
  }

  get isAtEnd(): boolean {
    return this.#at === this.#text.length;
  }

  /** Whether `expected` is at the current position, which then moves behind `expected`. */
  skip(expected: string): boolean {
    if (this.#text.slice(this.#at, this.#at + expected.length).toString() !== expected) return false;
    this.#at += expected.length;
    return true;
  }

  /** The JSON string at the current position, with its quotes. */
  string(): string | undefined {
    const from = this.#at;
    const end = this.#text.byteAt(from) === QUOTE ? this.#endOfString(from) : -1;
    if (end === -1 || end - from > SHORT_BYTES) return undefined;
    this.#at = end;
    return this.#text.slice(from, end).toString();
  }

  /** The text before the next closing bracket. With `strings`, brackets inside of strings do not count. */
  list(strings: boolean): LongText | undefined {
    const from = this.#at;
    const end = strings ? this.#endOfList(from) : this.#text.indexOf(CLOSE, from);
    if (end === -1) return undefined;
    this.#at = end + 1;
    return this.#text.slice(from, end);
  }

  #endOfList(from: number): number {
    let at = from;
    for (;;) {
      const byte = this.#text.byteAt(at);
      if (byte === CLOSE) return at;
      if (byte === undefined || byte === OPEN || byte === BRACE) return -1;
      if (byte === QUOTE) at = this.#endOfString(at);
      else at += 1;
      if (at === -1) return -1;
    }
  }

  /** The position behind the string that begins at `from`. */
  #endOfString(from: number): number {
    for (let quote = this.#text.indexOf(QUOTE, from + 1); quote !== -1; quote = this.#text.indexOf(QUOTE, quote + 1)) {
      let backslashes = 0;
      while (this.#text.byteAt(quote - 1 - backslashes) === BACKSLASH) backslashes += 1;
      if (backslashes % 2 === 0) return quote + 1;
    }
    return -1;
  }
}
