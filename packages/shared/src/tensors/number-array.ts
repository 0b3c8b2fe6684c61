/**
 * JSON arrays of numbers as typed arrays. A scanner in WebAssembly (number-scanner.c) reads the numbers from the bytes of a request.
 * A JavaScript array of 150,000 numbers takes five times as long, and must be copied into a typed array.
 */
import { doublesOf } from './short-arrays.ts';
import { openProgram } from './web-assembly.ts';

/** A rectangular array of numbers. The numbers equal the numbers that JSON.parse returns for the same text. */
export class NumberArray {
  /** The length of each level, at least 1. */
  readonly dims: readonly number[];
  /** All numbers, row by row. Nobody changes the numbers: several tensors can share them. */
  values: Float64Array;

  constructor(dims: readonly number[], values: Float64Array) {
    this.dims = dims;
    this.values = values;
  }

  /** Moves the numbers out of a block that short arrays share, for an array that stays in memory. */
  ownNumbers(): void {
    if (this.values.buffer.byteLength > this.values.byteLength) this.values = this.values.slice();
  }

  /** The number of arrays in the text. */
  get arrays(): number {
    let arrays = 0;
    let ofLevel = 1;
    for (const dim of this.dims) {
      arrays += ofLevel;
      ofLevel *= dim;
    }
    return arrays;
  }

  /** The JSON text of the nested arrays, as JSON.stringify writes the text, in pieces of at most some 100 KB. */
  *jsonPieces(): Generator<string> {
    yield* piecesOf(this.dims, this.values);
  }

  /** The nested arrays that JSON.parse returns for the same text. */
  toJSON(): unknown[] {
    return nested(this.dims, this.values);
  }
}

/** Numbers in one piece of JSON text. */
const PIECE_NUMBERS = 4_096;

function* piecesOf(dims: readonly number[], values: Float64Array): Generator<string> {
  const [length = 0, ...rest] = dims;
  // Arrays of a few numbers are written together.
  if (values.length <= PIECE_NUMBERS) return yield JSON.stringify(nested(dims, values));
  const size = values.length / length;
  // Numbers, or arrays of the next level, of one piece.
  const step = Math.max(1, Math.floor(PIECE_NUMBERS / size));
  for (let at = 0; at < length; at += step) {
    const count = Math.min(step, length - at);
    const some = values.subarray(at * size, (at + count) * size);
    yield at === 0 ? '[' : ',';
    if (size > PIECE_NUMBERS) yield* piecesOf(rest, some);
    else yield JSON.stringify(nested([count, ...rest], some)).slice(1, -1);
  }
  yield ']';
}

function nested(dims: readonly number[], values: Float64Array): unknown[] {
  const [length = 0, ...rest] = dims;
  if (rest.length === 0) return Array.from(values);
  const size = values.length / length;
  return Array.from({ length }, (_, at) => nested(rest, values.subarray(at * size, (at + 1) * size)));
}

/** A copy of a JSON value with nested arrays in place of each NumberArray. Returns `value` itself if no NumberArray is inside. */
export function withPlainArrays(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value;
  if (value instanceof NumberArray) return value.toJSON();
  // Most inputs have no NumberArray, and then no copy is made.
  let copy: unknown[] | Record<string, unknown> | undefined;
  for (const name in value) {
    const member: unknown = Reflect.get(value, name);
    const plain = withPlainArrays(member);
    if (plain === member) continue;
    copy ??= Array.isArray(value) ? [...value] : { ...value };
    Reflect.set(copy, name, plain);
  }
  return copy ?? value;
}

interface Scanner {
  memory: { buffer: ArrayBuffer };
  scan(length: number, last: number): number;
  resume(value: number, length: number, last: number): number;
  text_at(): number;
  numbers_at(): number;
  state_at(): number;
  result_at(): number;
}

const scanner = openProgram<Scanner>(new URL('./number-scanner.wasm', import.meta.url), [
  'memory',
  'scan',
  'resume',
  'text_at',
  'numbers_at',
  'state_at',
  'result_at',
]);
const { buffer } = scanner.memory;
/** Bytes of `text` and integers of `state` in number-scanner.c. */
const CHUNK_BYTES = 65_536;
/** Bytes of the first chunk of an array: many arrays are short, and each chunk is copied. */
const FIRST_BYTES = 4_096;
const STATE_WORDS = 19;
const text = Buffer.from(buffer, scanner.text_at(), CHUNK_BYTES);
const numbers = new Float64Array(buffer, scanner.numbers_at(), CHUNK_BYTES / 2 + 2);
const state = new Int32Array(buffer, scanner.state_at(), STATE_WORDS);
const result = new Int32Array(buffer, scanner.result_at(), 4);
/** The result codes of number-scanner.c. */
const [DONE, MORE, SLOW] = [0, 1, 2];
/** The places of `levels` and `dims` in the state. */
const LEVELS = 2;
const DIMS = 11;

const NO_NUMBERS = new Float64Array(0);

/** The scan of one array. The array begins at `at`, and may be anything that begins with a bracket. */
export class NumberScan {
  readonly #bytes: Buffer;
  /** The state after the chunks before; undefined before the end of the first chunk, which is the only chunk of most arrays. */
  #state: Int32Array | undefined;
  /** The numbers of the chunks before. The memory is for all numbers of the array, as far as the first chunk shows their length. */
  #values: Float64Array = NO_NUMBERS;
  #count = 0;
  /** The first byte that was not read; after the scan of a whole array, the byte behind the array. */
  at: number;
  /** The array after `step` has returned true; undefined for anything but a rectangular array of numbers. */
  array: NumberArray | undefined;

  constructor(bytes: Buffer, at: number) {
    this.#bytes = bytes;
    this.at = at;
  }

  /** Reads at most CHUNK_BYTES. Returns whether the scan has ended. */
  step(): boolean {
    const length = Math.min(this.#count === 0 ? FIRST_BYTES : CHUNK_BYTES, this.#bytes.length - this.at);
    const last = this.at + length === this.#bytes.length ? 1 : 0;
    this.#bytes.copy(text, 0, this.at, this.at + length);
    if (this.#state === undefined) state.fill(0);
    else state.set(this.#state);
    let code = scanner.scan(length, last);
    while (code === SLOW) {
      const value = Number(text.toString('latin1', result[2], result[3]));
      if (!Number.isFinite(value)) return true;
      code = scanner.resume(value, length, last);
    }
    const read = result[0] ?? 0;
    const count = result[1] ?? 0;
    // A number longer than a chunk would be read again forever.
    if (code !== DONE && (code !== MORE || read === 0)) return true;
    const left = this.#bytes.length - this.at - read;
    this.at += read;
    if (code === MORE) {
      this.#add(count, (count / read) * left);
      this.#state = state.slice();
      return false;
    }
    this.array = new NumberArray(
      dimsOf(state),
      this.#state === undefined ? doublesOf(numbers, count) : this.#all(count),
    );
    return true;
  }

  /** Keeps the numbers of a chunk. About `more` numbers follow. */
  #add(count: number, more: number): void {
    const all = this.#count + count;
    if (all > this.#values.length)
      this.#values = grown(this.#values.subarray(0, this.#count), Math.min(all + more * SPARE, all * GROWTH_MAX));
    this.#values.set(numbers.subarray(0, count), this.#count);
    this.#count = all;
  }

  /**
   * The numbers of all chunks, of which the last has `count` numbers. Memory of which the array would leave more than half unused is copied:
   * the rest of the body had no numbers.
   */
  #all(count: number): Float64Array {
    this.#add(count, 0);
    const values = this.#values.subarray(0, this.#count);
    return 2 * this.#count < this.#values.length ? grown(values, this.#count) : values;
  }
}

/** The length of each level. */
function dimsOf(scanned: Int32Array): number[] {
  const dims: number[] = [];
  for (let level = 0; level < (scanned[LEVELS] ?? 0); level += 1) dims.push(scanned[DIMS + level] ?? 0);
  return dims;
}

/** The numbers of later chunks can be shorter. */
const SPARE = 1.05;
/** An array can end soon, and must not take memory for the whole body. */
const GROWTH_MAX = 24;

/** The numbers in memory of another length. The memory before is released: the collector counts this memory late (predictions/free-bytes.ts). */
function grown(values: Float64Array, length: number): Float64Array {
  const longer = new Float64Array(length);
  longer.set(values);
  if (values.length > 0 && values.buffer instanceof ArrayBuffer) values.buffer.transfer(0);
  return longer;
}
