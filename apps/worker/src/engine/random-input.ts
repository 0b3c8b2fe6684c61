/** Random tensors for a trial of a model: the same for the same seed. */
import type { Dtype, TensorMap, TensorSpec } from '@millrace/shared/tensor';
import { elementCount, newData, toHalfBits } from '@millrace/shared/tensor-data';

/** Numbers in [0, 1) from a seed (mulberry32). */
export function randomFrom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

/** One row [1, ...] for each input; dimensions that are free are `size`. Floats lie within ±scale, integers in 0..3. */
export function randomRow(inputs: readonly TensorSpec[], size: number, scale: number, random: () => number): TensorMap {
  const row: TensorMap = {};
  for (const { name, dtype, shape } of inputs) {
    const dims = shape.map((dim, axis) =>
      axis === 0 && typeof dim === 'string' ? 1 : typeof dim === 'string' ? size : dim,
    );
    const data = newData(dtype, elementCount(dims));
    for (let i = 0; i < data.length; i++) (data as unknown[])[i] = element(dtype, scale, random);
    row[name] = { dtype, dims, data };
  }
  return row;
}

// Integers are most often indices or sizes: small ones fit most models.
function element(dtype: Dtype, scale: number, random: () => number): unknown {
  const small = Math.floor(random() * 4);
  switch (dtype) {
    case 'float32':
    case 'float64':
      return (2 * random() - 1) * scale;
    case 'float16':
      return toHalfBits((2 * random() - 1) * Math.min(scale, 1));
    case 'int64':
    case 'uint64':
      return BigInt(small);
    case 'bool':
      return small & 1;
    case 'string':
      return ['a', 'b', 'c', ''][small];
    default:
      return small;
  }
}
