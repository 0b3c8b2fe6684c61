/** Converts JSON values to tensor elements. A value that does not fit causes an InputError with its place and the reason. */
import { InputError } from './input-error.ts';
import type { Dtype, IntegerData, IntegerDtype, TensorData } from './tensor.ts';
import { BIG_RANGE, FLOAT_MAX, INTEGER_RANGE, newData, toHalfBits } from './tensor-data.ts';

const NOT_FINITE: Readonly<Record<string, number>> = { NaN: Number.NaN, Infinity: Infinity, '-Infinity': -Infinity };

/** Writes JSON values into the elements of one tensor. A class with state: an object or path per element would be slow. */
export abstract class ElementWriter {
  /** JSON pointer, relative to the tensor, of the array that contains the values. The caller sets the path for each array. */
  path = '';
  abstract readonly data: TensorData;
  readonly #pointer: string;

  /** `pointer`: the JSON pointer of the tensor. */
  constructor(pointer: string) {
    this.#pointer = pointer;
  }

  /** Writes the element `at`. `index` is the position in the array at `path`; undefined for a scalar. Throws InputError. */
  abstract write(value: unknown, at: number, index?: number): void;

  /**
   * Writes `values` from index `from` on to the elements from `at` on, and returns the number of written values. Stops at the
   * first value that is not a plain number of the type. For a plain number the result equals the result of `write`. A loop
   * without a call for each value takes a tenth of the time.
   */
  abstract writeRun(values: readonly unknown[], from: number, at: number): number;

  protected fault(expected: string, value: unknown, index: number | undefined): InputError {
    const pointer = `${this.#pointer}${this.path}${index === undefined ? '' : `/${index}`}`;
    const got = shown(value);
    return new InputError({ pointer, message: `${got} is not ${expected}.`, expected, got });
  }
}

/** Creates `length` elements of zero (of '' for strings) and the writer that fills the elements. */
export function elementWriter(dtype: Dtype, length: number, pointer: string): ElementWriter {
  switch (dtype) {
    case 'float16':
      return new HalfWriter(pointer, length);
    case 'float32':
      return new Float32Writer(pointer, length);
    case 'float64':
      return new Float64Writer(pointer, length);
    case 'int64':
      return new BigWriter(pointer, dtype, new BigInt64Array(length));
    case 'uint64':
      return new BigWriter(pointer, dtype, new BigUint64Array(length));
    case 'bool':
      return new BoolWriter(pointer, length);
    case 'string':
      return new StringWriter(pointer, length);
    default:
      return new IntegerWriter(pointer, dtype, newData(dtype, length));
  }
}

class BoolWriter extends ElementWriter {
  readonly data: Uint8Array;

  constructor(pointer: string, length: number) {
    super(pointer);
    this.data = new Uint8Array(length);
  }

  override write(value: unknown, at: number, index?: number): void {
    if (typeof value !== 'boolean' && value !== 0 && value !== 1) throw this.fault('true or false', value, index);
    this.data[at] = value ? 1 : 0;
  }

  override writeRun(values: readonly unknown[], from: number, at: number): number {
    return integerRun(this.data, { values, from, at, least: 0, greatest: 1 });
  }
}

class StringWriter extends ElementWriter {
  readonly data: string[];

  constructor(pointer: string, length: number) {
    super(pointer);
    this.data = newData('string', length);
  }

  override write(value: unknown, at: number, index?: number): void {
    if (typeof value !== 'string') throw this.fault('a string', value, index);
    // A lone surrogate has no UTF-8 form: two such strings would be the same bytes for the model and the cache.
    if (!value.isWellFormed()) throw this.fault('a string of whole Unicode characters', value, index);
    // onnxruntime reads strings as C strings, which end at the first NUL.
    if (value.includes('\0')) throw this.fault('a string without NUL characters', value, index);
    this.data[at] = value;
  }

  override writeRun(): number {
    return 0;
  }
}

class IntegerWriter extends ElementWriter {
  readonly data: IntegerData;
  readonly #dtype: IntegerDtype;
  readonly #least: number;
  readonly #greatest: number;

  constructor(pointer: string, dtype: IntegerDtype, data: IntegerData) {
    super(pointer);
    this.data = data;
    this.#dtype = dtype;
    [this.#least, this.#greatest] = INTEGER_RANGE[dtype];
  }

  override write(value: unknown, at: number, index?: number): void {
    if (typeof value !== 'number' || !Number.isInteger(value) || value < this.#least || value > this.#greatest)
      throw this.fault(`a whole number from ${this.#least} to ${this.#greatest} (${this.#dtype})`, value, index);
    this.data[at] = value;
  }

  override writeRun(values: readonly unknown[], from: number, at: number): number {
    return integerRun(this.data, { values, from, at, least: this.#least, greatest: this.#greatest });
  }
}

interface IntegerRun {
  values: readonly unknown[];
  from: number;
  at: number;
  least: number;
  greatest: number;
}

function integerRun(data: IntegerData, { values, from, at, least, greatest }: IntegerRun): number {
  let i = from;
  for (; i < values.length; i++) {
    const value = values[i];
    if (typeof value !== 'number' || !(value >= least && value <= greatest && Math.trunc(value) === value)) break;
    data[at + i - from] = value;
  }
  return i - from;
}

abstract class FloatWriter extends ElementWriter {
  protected abstract readonly dtype: 'float16' | 'float32' | 'float64';

  /** Returns the number that the value stands for. Values that round to infinity do not fit. */
  protected numberOf(value: unknown, index: number | undefined): number {
    const greatest = FLOAT_MAX[this.dtype];
    if (typeof value === 'number' && value <= greatest && value >= -greatest) return value;
    if (typeof value === 'string' && Object.hasOwn(NOT_FINITE, value)) return NOT_FINITE[value]!;
    if (typeof value !== 'number') throw this.fault('a number, or "NaN", "Infinity", "-Infinity"', value, index);
    // In IEEE 754 a value within half a step above the greatest value rounds to the greatest value.
    if (Number.isFinite(value) && this.roundsToFinite(value)) return value;
    throw this.fault(`a number that ${this.dtype} can hold`, value, index);
  }

  protected abstract roundsToFinite(value: number): boolean;
}

class HalfWriter extends FloatWriter {
  protected readonly dtype = 'float16';
  readonly data: Uint16Array;

  constructor(pointer: string, length: number) {
    super(pointer);
    this.data = new Uint16Array(length);
  }

  override write(value: unknown, at: number, index?: number): void {
    this.data[at] = toHalfBits(this.numberOf(value, index));
  }

  override writeRun(values: readonly unknown[], from: number, at: number): number {
    const greatest = FLOAT_MAX.float16;
    const { data } = this;
    let i = from;
    for (; i < values.length; i++) {
      const value = values[i];
      if (typeof value !== 'number' || !(value <= greatest && value >= -greatest)) break;
      data[at + i - from] = toHalfBits(value);
    }
    return i - from;
  }

  protected roundsToFinite(value: number): boolean {
    return Math.abs(value) < 65_520;
  }
}

interface FloatRun {
  values: readonly unknown[];
  from: number;
  at: number;
  greatest: number;
}

function floatRun(data: Float32Array | Float64Array, { values, from, at, greatest }: FloatRun): number {
  let i = from;
  for (; i < values.length; i++) {
    const value = values[i];
    if (typeof value !== 'number' || !(value <= greatest && value >= -greatest)) break;
    data[at + i - from] = value;
  }
  return i - from;
}

class Float32Writer extends FloatWriter {
  protected readonly dtype = 'float32';
  readonly data: Float32Array;

  constructor(pointer: string, length: number) {
    super(pointer);
    this.data = new Float32Array(length);
  }

  override write(value: unknown, at: number, index?: number): void {
    this.data[at] = this.numberOf(value, index);
  }

  override writeRun(values: readonly unknown[], from: number, at: number): number {
    return floatRun(this.data, { values, from, at, greatest: FLOAT_MAX.float32 });
  }

  protected roundsToFinite(value: number): boolean {
    return Number.isFinite(Math.fround(value));
  }
}

class Float64Writer extends FloatWriter {
  protected readonly dtype = 'float64';
  readonly data: Float64Array;

  constructor(pointer: string, length: number) {
    super(pointer);
    this.data = new Float64Array(length);
  }

  override write(value: unknown, at: number, index?: number): void {
    this.data[at] = this.numberOf(value, index);
  }

  override writeRun(values: readonly unknown[], from: number, at: number): number {
    return floatRun(this.data, { values, from, at, greatest: FLOAT_MAX.float64 });
  }

  protected roundsToFinite(): boolean {
    return true;
  }
}

class BigWriter extends ElementWriter {
  readonly data: BigInt64Array | BigUint64Array;
  readonly #least: bigint;
  readonly #greatest: bigint;
  readonly #expected: string;

  constructor(pointer: string, dtype: 'int64' | 'uint64', data: BigInt64Array | BigUint64Array) {
    super(pointer);
    this.data = data;
    [this.#least, this.#greatest] = BIG_RANGE[dtype];
    this.#expected = `a whole number from ${this.#least} to ${this.#greatest} (${dtype})`;
  }

  override write(value: unknown, at: number, index?: number): void {
    const big = this.#bigOf(value, index);
    if (big < this.#least || big > this.#greatest) throw this.fault(this.#expected, value, index);
    this.data[at] = big;
  }

  /** Covers integers of 32 bits only, as numbers or as short texts: a BigInt for each value takes ten times as long. */
  override writeRun(values: readonly unknown[], from: number, at: number): number {
    const least = this.#least < 0n ? -0x8000_0000 : 0;
    const words = new Int32Array(this.data.buffer, this.data.byteOffset, 2 * this.data.length);
    let i = from;
    for (; i < values.length; i++) {
      const given = values[i];
      const value = typeof given === 'string' ? shortInteger(given) : given;
      if (typeof value !== 'number' || (value | 0) !== value || value < least) break;
      words[2 * (at + i - from)] = value;
      words[2 * (at + i - from) + 1] = value < 0 ? -1 : 0;
    }
    return i - from;
  }

  #bigOf(value: unknown, index: number | undefined): bigint {
    if (typeof value === 'number' && Number.isSafeInteger(value)) return BigInt(value);
    // JSON.parse has already rounded a number beyond 2^53, so the number in the request is unknown.
    if (Number.isInteger(value)) throw this.fault('exact: write a number beyond 2^53 as a string', value, index);
    if (typeof value === 'string' && /^-?\d{1,20}$/.test(value)) return BigInt(value);
    throw this.fault(this.#expected, value, index);
  }
}

/** The value of an integer of at most nine characters; NaN for any other text. */
function shortInteger(text: string): number {
  const negative = text.charCodeAt(0) === 45;
  const first = negative ? 1 : 0;
  if (text.length > 9 || text.length === first) return Number.NaN;
  let value = 0;
  for (let i = first; i < text.length; i++) {
    const digit = text.charCodeAt(i) - 48;
    if (!(digit >= 0 && digit <= 9)) return Number.NaN;
    value = 10 * value + digit;
  }
  return negative ? -value : value;
}

/** A short text of a JSON value for messages. Large values are abbreviated. */
export function shown(value: unknown): string {
  if (value === undefined) return 'nothing';
  if (value === null) return 'null';
  if (Array.isArray(value)) return `an array of ${value.length}`;
  if (typeof value === 'object') return 'an object';
  if (typeof value === 'number') return String(value);
  const text = JSON.stringify(value);
  return text.length > 60 ? `${text.slice(0, 60)}…"` : text;
}
