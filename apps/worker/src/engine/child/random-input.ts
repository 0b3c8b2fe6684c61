/** Random tensors for a trial of a model. Equal seeds give equal tensors. */
import type { Dtype, TensorMap, TensorSpec } from '@millrace/shared/tensors/tensor';
import { elementCount, newData, toHalfBits } from '@millrace/shared/tensors/tensor-data';

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

/** The range of integers of an input. */
export interface Range {
  /** The greatest integer. */
  most: number;
  /** Whether the range goes down to -most. */
  negative: boolean;
}

/** Range by input name. Other inputs have the range SMALL. */
export type Ranges = Readonly<Record<string, Range>>;

/** Integers are most often indices or sizes, and small integers fit most models. */
export const SMALL: Range = { most: 3, negative: false };

export interface RowKind {
  /** Floats lie within ± this. */
  scale: number;
  /** Floats are whole numbers. */
  whole?: boolean;
  /** Each element is the greatest or the least integer of the range of its input. */
  all?: 'most' | 'least';
}

export interface RowParams {
  /** Size of the free dimensions other than the first. */
  size: number;
  kind: RowKind;
  ranges: Ranges;
  random: () => number;
}

/** One row [1, ...] for each input. */
export function randomRow(inputs: readonly TensorSpec[], { size, kind, ranges, random }: RowParams): TensorMap {
  const row: TensorMap = {};
  for (const { name, dtype, shape } of inputs) {
    const dims = shape.map((dim, axis) =>
      axis === 0 && typeof dim === 'string' ? 1 : typeof dim === 'string' ? size : dim,
    );
    const data = newData(dtype, elementCount(dims));
    const range = Object.hasOwn(ranges, name) ? (ranges[name] as Range) : SMALL;
    for (let i = 0; i < data.length; i++) (data as unknown[])[i] = element(dtype, { kind, range, random });
    row[name] = { dtype, dims, data };
  }
  return row;
}

/** The greatest integer of a type that a double can hold exactly. */
export const GREATEST: Readonly<Partial<Record<Dtype, number>>> = {
  int8: 127,
  uint8: 255,
  int16: 32_767,
  uint16: 65_535,
  int32: 2_147_483_647,
  uint32: 4_294_967_295,
  int64: Number.MAX_SAFE_INTEGER,
  uint64: Number.MAX_SAFE_INTEGER,
};

const WORDS = ['a', 'b', 'c', '', 'A longer text, of several words', '17', 'Ünïcödé'];

interface Drawing {
  kind: RowKind;
  range: Range;
  random(): number;
}

function element(dtype: Dtype, { kind, range, random }: Drawing): unknown {
  switch (dtype) {
    case 'float32':
    case 'float64':
      return float(kind, kind.scale, random);
    case 'float16':
      return toHalfBits(float(kind, Math.min(kind.scale, 100), random));
    case 'int64':
    case 'uint64':
      return BigInt(integer(dtype, { kind, range, random }));
    case 'bool':
      return kind.all === undefined ? Math.floor(2 * random()) : Number(kind.all === 'most');
    case 'string':
      return WORDS[Math.floor(random() * WORDS.length)];
    default:
      return integer(dtype, { kind, range, random });
  }
}

function float({ whole, all }: RowKind, scale: number, random: () => number): number {
  const value = all === 'most' ? scale : all === 'least' ? -scale : (2 * random() - 1) * scale;
  return whole ? Math.round(value) : value;
}

/** Half of the integers are uniform in size, and half are uniform in magnitude, so that small and large integers appear together. */
function integer(dtype: Dtype, { kind: { all }, range, random }: Drawing): number {
  const most = Math.min(range.most, GREATEST[dtype] ?? range.most);
  const negative = range.negative && dtype.startsWith('int');
  if (all === 'most') return most;
  if (all === 'least') return negative ? -most : 0;
  const spread = random() < 0.5 ? random() * (most + 1) : (most + 1) ** random() - 1;
  const value = Math.min(most, Math.floor(spread));
  return negative && random() < 0.5 ? -value : value;
}
