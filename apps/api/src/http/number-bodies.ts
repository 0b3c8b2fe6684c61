/**
 * Parses JSON bodies with large arrays of numbers. Each such array that is the value of a member becomes a NumberArray, straight from
 * the bytes of the body. The rest of the body is parsed as JSON text, with a name in place of each array.
 */
import { randomUUID } from 'node:crypto';
import { type NumberArray, NumberScan } from '@millrace/shared/tensors/number-array';

/** A shorter array, such as the shape of a tensor, stays in the text. */
const NUMBERS_MIN = 16;
/** Bytes of a body that may be read in vain, or byte by byte, beside half of the bytes of its arrays. */
const SPENT_BYTES = 16_384;
/** The weight of an array that stays in the text, and of a string, in bytes read in vain. */
const ARRAY_BYTES = 256;
const STRING_BYTES = 32;
/** Bytes that are read by one call of `step`, outside of arrays. */
const STEP_BYTES = 16_384;

const [QUOTE, BACKSLASH, OPEN, MINUS, COLON] = [0x22, 0x5c, 0x5b, 0x2d, 0x3a];
const isSpace = (byte: number | undefined): boolean => byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09;

/** Stands before the number of an array in the text. No client knows the mark, so no string of a body can begin with the mark. */
const MARK = `${randomUUID()}:`;

/** Separates the large arrays of numbers of a body from its text. A body without such arrays, or with too little of them, gives up. */
export class NumberSplit {
  readonly #bytes: Buffer;
  readonly arrays: NumberArray[] = [];
  /** The text with a mark and a number in place of each array. Undefined before the end, and if the whole body must be parsed. */
  text: string | undefined;
  #scan: NumberScan | undefined;
  #before = '';
  /** The first byte that is not in `#before`. */
  #copied = 0;
  #at = 0;
  #spent = 0;
  #accepted = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  /** Reads a limited number of bytes. Returns whether the body is separated, or must be parsed as a whole. */
  step(): boolean {
    if (this.#scan !== undefined) {
      if (!this.#scan.step()) return false;
      this.#take(this.#scan);
      this.#scan = undefined;
    }
    const from = this.#at;
    while (this.#at - from < STEP_BYTES) {
      this.#skipToArray();
      if (this.#isSpent) return true;
      if (this.#at >= this.#bytes.length) return this.#end();
      if (this.#canBeNumbers()) {
        this.#scan = new NumberScan(this.#bytes, this.#at);
        return false;
      }
      this.#at += 1;
    }
    return false;
  }

  get #isSpent(): boolean {
    return this.#spent > SPENT_BYTES + this.#accepted / 2;
  }

  #end(): boolean {
    if (this.arrays.length > 0) this.text = this.#before + this.#bytes.toString('utf8', this.#copied);
    return true;
  }

  #take({ array, at }: NumberScan): void {
    const open = this.#at;
    if (array === undefined || array.values.length < NUMBERS_MIN) {
      this.#spent += Math.max(ARRAY_BYTES, at - open);
      // The arrays inside can be arrays of numbers.
      this.#at = array === undefined ? open + 1 : at;
      return;
    }
    this.#accepted += at - open;
    this.#before += `${this.#bytes.toString('utf8', this.#copied, open)}"${MARK}${this.arrays.length}"`;
    this.#copied = at;
    this.#at = at;
    this.arrays.push(array);
  }

  /** Goes to the next bracket outside of strings, to the end, or as far as the search may go. */
  #skipToArray(): void {
    const bytes = this.#bytes;
    for (; this.#at < bytes.length && !this.#isSpent; this.#at += 1) {
      const byte = bytes[this.#at];
      if (byte === OPEN) return;
      this.#spent += 1;
      if (byte !== QUOTE) continue;
      this.#spent += STRING_BYTES;
      this.#at = this.#endOfString(this.#at);
    }
  }

  #endOfString(open: number): number {
    const bytes = this.#bytes;
    for (let at = bytes.indexOf(QUOTE, open + 1); at !== -1; at = bytes.indexOf(QUOTE, at + 1)) {
      let slashes = 0;
      while (bytes[at - 1 - slashes] === BACKSLASH) slashes += 1;
      if (slashes % 2 === 0) return at;
    }
    return bytes.length;
  }

  /** Whether the array is the value of a member, and the first value behind its brackets can be a number. */
  #canBeNumbers(): boolean {
    const open = this.#at;
    let before = open - 1;
    while (open - before < ARRAY_BYTES && isSpace(this.#bytes[before])) before -= 1;
    if (this.#bytes[before] !== COLON) return false;
    let at = open;
    while (at - open < ARRAY_BYTES && (this.#bytes[at] === OPEN || isSpace(this.#bytes[at]))) at += 1;
    const byte = this.#bytes[at] ?? 0;
    return byte === MINUS || (byte >= 0x30 && byte <= 0x39);
  }
}

/** The place of a value: the names and indices from the body to the value. */
type Path = readonly (string | number)[];

/** Members of a tensor that are never elements. */
const NOT_ELEMENTS: ReadonlySet<unknown> = new Set(['shape', 'parameters']);

/** Whether a value at this path may stay a NumberArray: a tensor inside `input` or inside one of `inputs`. */
const isTensor = (path: Path): boolean =>
  (path[0] === 'input' ? path.length >= 2 : path[0] === 'inputs' && path.length >= 3) && !NOT_ELEMENTS.has(path.at(-1));

/** The parsed text with its arrays in their places. Arrays that cannot be tensors become nested arrays. */
export const withArrays = (parsed: unknown, arrays: readonly NumberArray[]): unknown => placed(parsed, arrays, []);

/** `path` is the place of `parsed`. The function leaves the path as it was: a path for each value would be a copy for each value. */
function placed(parsed: unknown, arrays: readonly NumberArray[], path: (string | number)[]): unknown {
  if (typeof parsed === 'string' && parsed.startsWith(MARK)) {
    const array = arrays[Number(parsed.slice(MARK.length))];
    return isTensor(path) ? array : array?.toJSON();
  }
  if (typeof parsed !== 'object' || parsed === null) return parsed;
  const members = parsed as Record<string, unknown>;
  for (const name of Object.keys(members)) {
    const value = members[name];
    if (typeof value !== 'object' && typeof value !== 'string') continue;
    path.push(name);
    const own = placed(value, arrays, path);
    path.pop();
    if (own !== value) members[name] = own;
  }
  return parsed;
}
