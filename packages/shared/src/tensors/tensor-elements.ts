/** One JSON value to one element of a tensor, by type, with a fault that says where and why when it is none. */
import { InputError } from './input-error.ts';
import type { Dtype, TensorData } from './tensor.ts';
import { BIG_RANGE, FLOAT_MAX, INTEGER_RANGE, toHalfBits } from './tensor-data.ts';

/**
 * Writes the element at `at`. `path` (and `index`, when it has one more level) is where it stands below the tensor; it
 * is only put together for a fault. Throws InputError.
 */
export type ElementWriter = (value: unknown, at: number, path: string, index?: number) => void;

const NOT_FINITE: Readonly<Record<string, number>> = { NaN: Number.NaN, Infinity: Infinity, '-Infinity': -Infinity };

/** A writer of JSON values into `data`; `pointer` is where the tensor stands. */
export function elementWriter(dtype: Dtype, data: TensorData, pointer: string): ElementWriter {
  const refuse = (expected: string, value: unknown, path: string, index?: number): never => {
    const at = `${pointer}${path}${index === undefined ? '' : `/${index}`}`;
    const got = shown(value);
    throw new InputError({ pointer: at, message: `${got} is not ${expected}.`, expected, got });
  };
  switch (dtype) {
    case 'float16':
    case 'float32':
    case 'float64':
      return floatWriter(dtype, data as Float64Array | Uint16Array, refuse);
    case 'int64':
    case 'uint64':
      return bigWriter(dtype, data as BigInt64Array, refuse);
    case 'bool': {
      const bits = data as Uint8Array;
      return (value, at, path, index) => {
        if (typeof value !== 'boolean' && value !== 0 && value !== 1) refuse('true or false', value, path, index);
        bits[at] = value ? 1 : 0;
      };
    }
    case 'string': {
      const texts = data as string[];
      return (value, at, path, index) => {
        if (typeof value !== 'string') refuse('a string', value, path, index);
        // A lone surrogate has no UTF-8: two such strings would reach the model, and the cache, as the same bytes.
        if (!(value as string).isWellFormed()) refuse('a string of whole Unicode characters', value, path, index);
        // onnxruntime takes strings as C strings, which end at the first NUL.
        if ((value as string).includes('\0')) refuse('a string without NUL characters', value, path, index);
        texts[at] = value as string;
      };
    }
    default: {
      const [least, greatest] = INTEGER_RANGE[dtype]!;
      const numbers = data as Int32Array;
      return (value, at, path, index) => {
        const fits = Number.isInteger(value) && (value as number) >= least && (value as number) <= greatest;
        if (!fits) refuse(`a whole number from ${least} to ${greatest} (${dtype})`, value, path, index);
        numbers[at] = value as number;
      };
    }
  }
}

/**
 * Writes `values` from index `from` on to elements from `at` on, as far as they are plain numbers (or bools) that need no
 * second look, and returns how many these are. The rest is for the ElementWriter, which writes the same for the same
 * value. A loop without a call for each value takes a tenth of the time.
 */
export type RunWriter = (values: readonly unknown[], from: number, at: number) => number;

export function runWriter(dtype: Dtype, data: TensorData): RunWriter {
  switch (dtype) {
    case 'string':
      return () => 0;
    case 'float32':
    case 'float64':
      return floatRuns(data as Float64Array, FLOAT_MAX[dtype]!);
    case 'float16':
      return halfRuns(data as Uint16Array);
    case 'int64':
    case 'uint64':
      return bigRuns(data as BigInt64Array, dtype === 'int64' ? -0x8000_0000 : 0);
    case 'bool':
      return integerRuns(data as Uint8Array, [0, 1]);
    default:
      return integerRuns(data as Int32Array, INTEGER_RANGE[dtype]!);
  }
}

function floatRuns(data: Float64Array, greatest: number): RunWriter {
  return (values, from, at) => {
    let i = from;
    for (; i < values.length; i++) {
      const value = values[i];
      if (typeof value !== 'number' || !(value <= greatest && value >= -greatest)) break;
      data[at + i - from] = value;
    }
    return i - from;
  };
}

function halfRuns(data: Uint16Array): RunWriter {
  const greatest = FLOAT_MAX.float16!;
  return (values, from, at) => {
    let i = from;
    for (; i < values.length; i++) {
      const value = values[i];
      if (typeof value !== 'number' || !(value <= greatest && value >= -greatest)) break;
      data[at + i - from] = toHalfBits(value);
    }
    return i - from;
  };
}

function integerRuns(data: Int32Array | Uint8Array, [least, greatest]: readonly [number, number]): RunWriter {
  return (values, from, at) => {
    let i = from;
    for (; i < values.length; i++) {
      const value = values[i];
      if (typeof value !== 'number' || !(value >= least && value <= greatest && Math.trunc(value) === value)) break;
      data[at + i - from] = value;
    }
    return i - from;
  };
}

/** Of 32 bits only, as numbers or as short texts: a BigInt for each value takes ten times as long. */
function bigRuns(data: BigInt64Array, least: number): RunWriter {
  const words = new Int32Array(data.buffer, data.byteOffset, 2 * data.length);
  return (values, from, at) => {
    let i = from;
    for (; i < values.length; i++) {
      const given = values[i];
      const value = typeof given === 'string' ? shortInteger(given) : given;
      if (typeof value !== 'number' || (value | 0) !== value || value < least) break;
      words[2 * (at + i - from)] = value;
      words[2 * (at + i - from) + 1] = value < 0 ? -1 : 0;
    }
    return i - from;
  };
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

type Refuse = (expected: string, value: unknown, path: string, index?: number) => never;

function floatWriter(dtype: Dtype, data: Float64Array | Uint16Array, refuse: Refuse): ElementWriter {
  const half = dtype === 'float16';
  const greatest = FLOAT_MAX[dtype]!;
  // What lies within half a step of the greatest value still rounds to it, in IEEE 754; beyond it is infinite.
  const round = half
    ? (value: number) => (Math.abs(value) < 65_520 ? value : Infinity)
    : dtype === 'float32'
      ? Math.fround
      : Number;
  return (value, at, path, index) => {
    let number: number;
    if (typeof value === 'number' && value <= greatest && value >= -greatest) number = value;
    else if (typeof value === 'string' && Object.hasOwn(NOT_FINITE, value)) number = NOT_FINITE[value]!;
    else if (typeof value === 'number' && Number.isFinite(value) && Number.isFinite(round(value))) number = value;
    else
      return refuse(
        typeof value === 'number' ? `a number that ${dtype} can hold` : 'a number, or "NaN", "Infinity", "-Infinity"',
        value,
        path,
        index,
      );
    data[at] = half ? toHalfBits(number) : number;
  };
}

function bigWriter(dtype: Dtype, data: BigInt64Array, refuse: Refuse): ElementWriter {
  const [least, greatest] = BIG_RANGE[dtype]!;
  const wanted = `a whole number from ${least} to ${greatest} (${dtype})`;
  return (value, at, path, index) => {
    let big: bigint;
    // JSON.parse has already rounded a number beyond 2^53: what was meant is no longer known.
    if (Number.isSafeInteger(value)) big = BigInt(value as number);
    else if (Number.isInteger(value)) return refuse('exact: beyond 2^53 write it as a string', value, path, index);
    else if (typeof value === 'string' && /^-?\d{1,20}$/.test(value)) big = BigInt(value);
    else return refuse(wanted, value, path, index);
    if (big < least || big > greatest) refuse(wanted, value, path, index);
    data[at] = big;
  };
}

/** A JSON value for a message: short, and never the whole of a large one. */
export function shown(value: unknown): string {
  if (value === undefined) return 'nothing';
  if (value === null) return 'null';
  if (Array.isArray(value)) return `an array of ${value.length}`;
  if (typeof value === 'object') return 'an object';
  if (typeof value === 'number') return String(value);
  const text = JSON.stringify(value);
  return text.length > 60 ? `${text.slice(0, 60)}…"` : text;
}
