/** The elements of a tensor from the numbers of a NumberArray, with the same results as the writers of tensor-elements.ts. */
import { floatsOf } from './short-arrays.ts';
import type { Dtype, TensorData } from './tensor.ts';
import { FLOAT_MAX, INTEGER_RANGE, newData, toHalfBits } from './tensor-data.ts';

/** Undefined if a number does not fit the type: the caller finds the number and its place. */
export function elementsOf(dtype: Dtype, values: Float64Array): TensorData | undefined {
  switch (dtype) {
    case 'float32':
      return float32(values);
    case 'float64':
      return values;
    case 'float16':
      return float16(values);
    case 'int64':
    case 'uint64':
      return long(dtype, values);
    case 'bool':
      return integers(new Uint8Array(values.length), values, [0, 1]);
    case 'string':
      return undefined;
    default:
      return integers(newData(dtype, values.length), values, INTEGER_RANGE[dtype]);
  }
}

/** Rounds twice, from decimal to double and from double to float32, as JSON.parse and Float32Array do with any other array. */
function float32(values: Float64Array): TensorData | undefined {
  // One call converts all numbers in half the time of a loop that also compares.
  const data = floatsOf(values);
  let greatest = 0;
  for (let at = 0; at < values.length; at += 1) {
    const size = Math.abs(values[at] ?? 0);
    if (size > greatest) greatest = size;
  }
  // A number beyond the greatest value is infinite as a float32, or rounds to the greatest value.
  return greatest > FLOAT_MAX.float32 && !data.every(Number.isFinite) ? undefined : data;
}

function float16(values: Float64Array): TensorData | undefined {
  const data = new Uint16Array(values.length);
  for (let at = 0; at < values.length; at += 1) {
    const value = values[at] ?? 0;
    if (value > FLOAT_MAX.float16 || value < -FLOAT_MAX.float16) return undefined;
    data[at] = toHalfBits(value);
  }
  return data;
}

function integers<T extends Exclude<TensorData, string[] | BigInt64Array | BigUint64Array>>(
  data: T,
  values: Float64Array,
  [least, greatest]: readonly [number, number],
): T | undefined {
  for (let at = 0; at < values.length; at += 1) {
    const value = values[at] ?? 0;
    if (!(value >= least && value <= greatest && Math.trunc(value) === value)) return undefined;
    data[at] = value;
  }
  return data;
}

/** Integers of 32 bits only, as pairs of words: a BigInt for each number takes ten times as long. */
function long(dtype: 'int64' | 'uint64', values: Float64Array): TensorData | undefined {
  const data = dtype === 'int64' ? new BigInt64Array(values.length) : new BigUint64Array(values.length);
  const words = new Int32Array(data.buffer);
  for (let at = 0; at < values.length; at += 1) {
    const value = values[at] ?? 0;
    if ((value | 0) !== value || (value < 0 && dtype === 'uint64')) return undefined;
    words[2 * at] = value;
    words[2 * at + 1] = value < 0 ? -1 : 0;
  }
  return data;
}
