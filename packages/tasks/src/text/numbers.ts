/** Numbers of the model's outputs. */
import type { Tensor, TensorMap } from '@millrace/shared/model-files/handler';
import { fromHalfBits } from '@millrace/shared/tensors/tensor-data';
import type { SequenceResult } from './text-task.ts';

/** The output with one of these names, or the only output with this number of dimensions. Throws an error without such an output. */
export function outputOf(tensors: TensorMap, names: readonly string[], rank: number): Tensor {
  const named = names
    .map((name) => tensors[name])
    .find((tensor) => tensor !== undefined && tensor.dims.length === rank);
  if (named !== undefined) return named;
  const fitting = Object.values(tensors).filter(({ dims }) => dims.length === rank);
  if (fitting.length === 1 && fitting[0] !== undefined) return fitting[0];
  throw new Error(
    `the model has no output "${names[0]}" with ${rank} dimensions, which the task needs: its outputs are ${Object.entries(
      tensors,
    )
      .map(([name, { dims }]) => `${name} [${dims.join(', ')}]`)
      .join(', ')}`,
  );
}

/** The elements of a tensor from a place on, as numbers. */
export function numbersOf({ dtype, data }: Tensor, from: number, count: number): Float64Array {
  // V8 converts a whole array faster than a loop does.
  if (data instanceof Float32Array && from + count <= data.length)
    return new Float64Array(data.subarray(from, from + count));
  const numbers = new Float64Array(count);
  for (let at = 0; at < count; at++) {
    const value = data[from + at];
    numbers[at] = dtype === 'float16' ? fromHalfBits(Number(value)) : Number(value);
  }
  return numbers;
}

/** The logits of a sequence whose output has one row of logits. */
export function logitsOf({ tensors, row }: Pick<SequenceResult, 'tensors' | 'row'>): Float64Array {
  const logits = outputOf(tensors, ['logits'], 2);
  const count = logits.dims[1] ?? 0;
  return numbersOf(logits, row * count, count);
}

export function softmax(logits: ArrayLike<number>): number[] {
  let most = Number.NEGATIVE_INFINITY;
  for (let at = 0; at < logits.length; at++) most = Math.max(most, logits[at] ?? 0);
  const powers = Array.from(logits, (logit) => Math.exp(logit - most));
  const sum = powers.reduce((total, power) => total + power, 0);
  return powers.map((power) => power / sum);
}

export const sigmoid = (logit: number): number => 1 / (1 + Math.exp(-logit));

/** A float32 number in its shortest text that float32 distinguishes: nine digits. */
export const short = (value: number): number => Number(value.toPrecision(9));
