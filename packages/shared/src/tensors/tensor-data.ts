/** The elements of tensors: typed arrays, their bytes, and how each number becomes JSON text and back. */
import type { Dtype, TensorData } from './tensor.ts';

/** Bytes of one element; 0 for strings, whose lengths differ. */
export const ELEMENT_BYTES: Readonly<Record<Dtype, number>> = {
  float16: 2,
  float32: 4,
  float64: 8,
  int8: 1,
  int16: 2,
  int32: 4,
  int64: 8,
  uint8: 1,
  uint16: 2,
  uint32: 4,
  uint64: 8,
  bool: 1,
  string: 0,
};

const ARRAYS = {
  float16: Uint16Array,
  float32: Float32Array,
  float64: Float64Array,
  int8: Int8Array,
  int16: Int16Array,
  int32: Int32Array,
  int64: BigInt64Array,
  uint8: Uint8Array,
  uint16: Uint16Array,
  uint32: Uint32Array,
  uint64: BigUint64Array,
  bool: Uint8Array,
} as const;

/** Least and greatest value of the integers that are JavaScript numbers. */
export const INTEGER_RANGE: Readonly<Partial<Record<Dtype, readonly [number, number]>>> = {
  int8: [-128, 127],
  int16: [-32_768, 32_767],
  int32: [-2_147_483_648, 2_147_483_647],
  uint8: [0, 255],
  uint16: [0, 65_535],
  uint32: [0, 4_294_967_295],
};

export const BIG_RANGE: Readonly<Partial<Record<Dtype, readonly [bigint, bigint]>>> = {
  int64: [-(2n ** 63n), 2n ** 63n - 1n],
  uint64: [0n, 2n ** 64n - 1n],
};

/** Greatest finite value of the floats. */
export const FLOAT_MAX: Readonly<Partial<Record<Dtype, number>>> = {
  float16: 65_504,
  float32: 3.4028234663852886e38,
  float64: Number.MAX_VALUE,
};

if (new Uint8Array(new Uint16Array([1]).buffer)[0] !== 1) throw new Error('Millrace needs a little-endian machine.');

/** `length` elements of zero (of '' for strings). */
export function newData(dtype: Dtype, length: number): TensorData {
  return dtype === 'string' ? new Array<string>(length).fill('') : new ARRAYS[dtype](length);
}

/** A view of the little-endian bytes of the elements; not for strings. */
export function bytesOf(data: Exclude<TensorData, string[]>): Buffer {
  return Buffer.from(data.buffer, data.byteOffset, data.byteLength);
}

/** Elements from little-endian bytes, without a copy where they are aligned. The length must be whole elements. */
export function dataFromBytes(dtype: Exclude<Dtype, 'string'>, bytes: Uint8Array): TensorData {
  const size = ELEMENT_BYTES[dtype];
  const aligned = bytes.byteOffset % size === 0 ? bytes : new Uint8Array(bytes);
  return new ARRAYS[dtype](aligned.buffer as ArrayBuffer, aligned.byteOffset, bytes.byteLength / size);
}

/** Number of elements of a shape; 1 for a scalar. */
export function elementCount(dims: readonly number[]): number {
  let count = 1;
  for (const dim of dims) count *= dim;
  return count;
}

// Float16Array is in Node 24 and not yet in TypeScript's es2024 library.
type HalfArray = { [index: number]: number; readonly buffer: ArrayBuffer };
const half = new (globalThis as unknown as { Float16Array: new (length: number) => HalfArray }).Float16Array(1);
const halfBits = new Uint16Array(half.buffer);

/** The 16 bits of the float16 nearest to a number. */
export function toHalfBits(value: number): number {
  half[0] = value;
  return halfBits[0]!;
}

/** The number that 16 bits of a float16 stand for. */
export function fromHalfBits(bits: number): number {
  halfBits[0] = bits;
  return half[0]!;
}

function roundHalf(value: number): number {
  half[0] = value;
  return half[0]!;
}

/** Powers of ten that a double holds exactly: with them a decimal is rounded as reading its text would round it. */
const POWERS = Array.from({ length: 23 }, (_, exponent) => Number(`1e${exponent}`));

/**
 * Short JSON text of a float that reads back as the same bits; NaN and infinities are quoted. `digits` are as many as
 * most values need less one, `normal` is the least normal number.
 */
function floatText(value: number, round: (value: number) => number, digits: number, normal: number): string {
  if (Number.isInteger(value)) return Object.is(value, -0) ? '-0' : String(value);
  if (!Number.isFinite(value)) return `"${value}"`;
  const magnitude = Math.abs(value);
  const places = digits - 1 - Math.floor(Math.log10(magnitude));
  // Below the least normal number fewer digits tell neighbours apart.
  if (magnitude < normal || places < 0 || places > 20) return shortest(value, round, 1, digits + 2);
  const usual = Math.round(value * POWERS[places + 1]!) / POWERS[places + 1]!;
  if (round(usual) === value) {
    const shorter = Math.round(value * POWERS[places]!) / POWERS[places]!;
    return String(round(shorter) === value ? shorter : usual);
  }
  const longer = Math.round(value * POWERS[places + 2]!) / POWERS[places + 2]!;
  return String(round(longer) === value ? longer : value);
}

/** The first text that reads back, from `least` digits on. */
function shortest(value: number, round: (value: number) => number, least: number, most: number): string {
  for (let digits = least; digits <= most; digits++) {
    const short = Number(value.toPrecision(digits));
    if (round(short) === value) return String(short);
  }
  return String(value);
}

const SAFE = BigInt(Number.MAX_SAFE_INTEGER);

function floatsText(values: Float32Array): string {
  let text = '';
  for (let i = 0; i < values.length; i++)
    text +=
      i === 0
        ? floatText(values[i]!, Math.fround, 7, 2 ** -126)
        : `,${floatText(values[i]!, Math.fround, 7, 2 ** -126)}`;
  return text;
}

/** JSON texts of elements, joined by commas. Integers beyond 2^53 are quoted; nothing is lost. */
export function elementsText(dtype: Dtype, data: TensorData): string {
  switch (dtype) {
    case 'float32':
      return floatsText(data as Float32Array);
    case 'float16':
      return Array.from(data as Uint16Array, (bits) => floatText(fromHalfBits(bits), roundHalf, 4, 2 ** -14)).join(',');
    case 'float64':
      return Array.from(data as Float64Array, (value) =>
        Number.isFinite(value) ? (Object.is(value, -0) ? '-0' : String(value)) : `"${value}"`,
      ).join(',');
    case 'int64':
    case 'uint64':
      return Array.from(data as BigInt64Array, (value) =>
        value > SAFE || value < -SAFE ? `"${value}"` : String(value),
      ).join(',');
    case 'bool':
      return Array.from(data as Uint8Array, (value) => (value === 0 ? 'false' : 'true')).join(',');
    case 'string':
      return (data as string[]).map((value) => JSON.stringify(value)).join(',');
    default:
      return (data as Int32Array).join(',');
  }
}
