/** The elements of tensors: typed arrays, their bytes, and their JSON text. */
import { float32Text } from './float-text.ts';
import type { Dtype, IntegerData, IntegerDtype, TensorData } from './tensor.ts';

/** Bytes of one element. Strings have different lengths and the entry 0. */
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

/** The least and the greatest value of the integer types whose elements are JavaScript numbers. */
export const INTEGER_RANGE: Readonly<Record<IntegerDtype, readonly [number, number]>> = {
  int8: [-128, 127],
  int16: [-32_768, 32_767],
  int32: [-2_147_483_648, 2_147_483_647],
  uint8: [0, 255],
  uint16: [0, 65_535],
  uint32: [0, 4_294_967_295],
};

/** The least and the greatest value of the integer types whose elements are bigints. */
export const BIG_RANGE: Readonly<Record<'int64' | 'uint64', readonly [bigint, bigint]>> = {
  int64: [-(2n ** 63n), 2n ** 63n - 1n],
  uint64: [0n, 2n ** 64n - 1n],
};

/** The greatest finite value of the float types. */
export const FLOAT_MAX: Readonly<Record<'float16' | 'float32' | 'float64', number>> = {
  float16: 65_504,
  float32: 3.4028234663852886e38,
  float64: Number.MAX_VALUE,
};

if (new Uint8Array(new Uint16Array([1]).buffer)[0] !== 1)
  throw new Error('Unsupported machine: Millrace requires a little-endian processor.');

/** Creates `length` elements of zero (of '' for strings). */
export function newData(dtype: 'string', length: number): string[];
export function newData(dtype: IntegerDtype, length: number): IntegerData;
export function newData(dtype: Dtype, length: number): TensorData;
export function newData(dtype: Dtype, length: number): TensorData {
  return dtype === 'string' ? new Array<string>(length).fill('') : new ARRAYS[dtype](length);
}

/** Returns a view of the little-endian bytes of the elements. Strings have no such bytes. */
export function bytesOf(data: Exclude<TensorData, string[]>): Buffer {
  return Buffer.from(data.buffer, data.byteOffset, data.byteLength);
}

/** Reads elements from little-endian bytes. Copies unaligned bytes only. The length must be a multiple of the element size. */
export function dataFromBytes(dtype: Exclude<Dtype, 'string'>, bytes: Uint8Array): TensorData {
  const size = ELEMENT_BYTES[dtype];
  const aligned = bytes.byteOffset % size === 0 ? bytes : new Uint8Array(bytes);
  return new ARRAYS[dtype](aligned.buffer as ArrayBuffer, aligned.byteOffset, bytes.byteLength / size);
}

/** The number of elements of a shape; 1 for a scalar. */
export function elementCount(dims: readonly number[]): number {
  let count = 1;
  for (const dim of dims) count *= dim;
  return count;
}

// Node 24 has Float16Array. TypeScript's library es2024 does not declare the class yet.
declare const Float16Array: new (length: number) => { [index: number]: number; readonly buffer: ArrayBuffer };
const half = new Float16Array(1);
const halfBits = new Uint16Array(half.buffer);

/** Returns the 16 bits of the float16 nearest to a number. */
export function toHalfBits(value: number): number {
  half[0] = value;
  return halfBits[0]!;
}

/** Returns the number of a float16 from its 16 bits. */
export function fromHalfBits(bits: number): number {
  halfBits[0] = bits;
  return half[0]!;
}

function roundHalf(value: number): number {
  half[0] = value;
  return half[0]!;
}

/** The powers of ten that a double represents exactly. Division by an exact power rounds like parsing the decimal text. */
const POWERS = Array.from({ length: 23 }, (_, exponent) => Number(`1e${exponent}`));

/** One digit less than most values of a float16 need. */
const HALF_DIGITS = 4;
/** The least normal float16. */
const HALF_NORMAL = 2 ** -14;

/** A short JSON text of a float16 that parses to the same bits. NaN and infinities are quoted. */
function halfText(bits: number): string {
  const value = fromHalfBits(bits);
  if (Number.isInteger(value)) return Object.is(value, -0) ? '-0' : String(value);
  if (!Number.isFinite(value)) return `"${value}"`;
  const magnitude = Math.abs(value);
  const places = HALF_DIGITS - 1 - Math.floor(Math.log10(magnitude));
  // Below the least normal number neighbouring values differ in fewer digits.
  if (magnitude < HALF_NORMAL || places < 0) return shortestHalf(value);
  const usual = Math.round(value * POWERS[places + 1]!) / POWERS[places + 1]!;
  if (roundHalf(usual) === value) {
    const shorter = Math.round(value * POWERS[places]!) / POWERS[places]!;
    return String(roundHalf(shorter) === value ? shorter : usual);
  }
  const longer = Math.round(value * POWERS[places + 2]!) / POWERS[places + 2]!;
  return String(roundHalf(longer) === value ? longer : value);
}

/** The shortest decimal text that rounds to the float16. */
function shortestHalf(value: number): string {
  for (let digits = 1; digits <= HALF_DIGITS + 2; digits++) {
    const short = Number(value.toPrecision(digits));
    if (roundHalf(short) === value) return String(short);
  }
  return String(value);
}

const SAFE = BigInt(Number.MAX_SAFE_INTEGER);

const doubleText = (value: number): string =>
  Number.isFinite(value) ? (Object.is(value, -0) ? '-0' : String(value)) : `"${value}"`;
const bigText = (value: bigint): string => (value > SAFE || value < -SAFE ? `"${value}"` : String(value));

/** The JSON texts of elements, separated by commas and without loss. Integers beyond 2^53 are quoted. */
export function elementsText(dtype: Dtype, data: TensorData): string {
  if (data instanceof Float32Array) return float32Text(data);
  if (data instanceof Float64Array) return Array.from(data, doubleText).join(',');
  if (Array.isArray(data)) return data.map((value) => JSON.stringify(value)).join(',');
  if (data instanceof BigInt64Array || data instanceof BigUint64Array) return Array.from(data, bigText).join(',');
  if (dtype === 'float16') return Array.from(data, (bits) => halfText(Number(bits))).join(',');
  if (dtype === 'bool') return Array.from(data, (value) => (value === 0 ? 'false' : 'true')).join(',');
  return data.join(',');
}
