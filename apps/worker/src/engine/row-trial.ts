/**
 * Whether the rows of a model influence each other, by trial: random rows run alone and together must give the same.
 * A model passes only if its shapes allow it too; what a trial cannot see, model.json's row_independent can say.
 */
import type { Tensor, TensorMap, TensorSpec } from '@millrace/shared/tensor';
import { fromHalfBits } from '@millrace/shared/tensor-data';
import { joinRows, splitInto } from '@millrace/shared/tensor-rows';
import { randomFrom, randomRow } from './random-input.ts';

export interface TrialResult {
  independent: boolean;
  /** For people: why it is, or is not. */
  reason: string;
}

export type RunTensors = (tensors: TensorMap) => Promise<TensorMap>;

/** A trial needs a free first dimension of one name (or of none) in all inputs and outputs, and that name nowhere else. */
export function isCandidate(inputs: readonly TensorSpec[], outputs: readonly TensorSpec[]): boolean {
  const first = inputs[0]?.shape[0];
  if (typeof first !== 'string' || first === '...' || outputs.length === 0) return false;
  return [...inputs, ...outputs].every(
    ({ shape }) => shape[0] === first && (first === '' || !shape.slice(1).includes(first)),
  );
}

// Sizes for dimensions that are free beside the first. Models may want a least size or a multiple of something.
const SIZES = [8, 32, 1, 2, 64];
// Rows unlike each other: a mean or a maximum over the batch shows.
const SCALES = [1, 0.5, 10, 0.1, 100, 0];
const ROWS_MIN = 3;
const SEED = 20_240_607;
const ELEMENTS_MAX = 16_000_000;

/** A size of the free dimensions with which one random row runs, and that row's outputs. Undefined if there is none. */
export async function findSize(inputs: readonly TensorSpec[], run: RunTensors): Promise<number | undefined> {
  for (const size of SIZES) {
    const row = randomRow(inputs, size, 1, randomFrom(SEED));
    if (elementsOf(row) > ELEMENTS_MAX) continue;
    try {
      await run(row);
      return size;
    } catch {
      // Another size may do.
    }
  }
  return undefined;
}

/** Runs rows alone and together, and compares. `size` is of the free dimensions beside the first. */
export async function tryRows(inputs: readonly TensorSpec[], run: RunTensors, size: number): Promise<TrialResult> {
  const random = randomFrom(SEED);
  const rows: TensorMap[] = [];
  const alone: TensorMap[] = [];
  let failure = '';
  for (const scale of SCALES) {
    const row = randomRow(inputs, size, scale, random);
    if (elementsOf(row) * SCALES.length > ELEMENTS_MAX)
      return { independent: false, reason: 'its rows are too large for a trial' };
    try {
      alone.push(await run(row));
      rows.push(row);
    } catch (error) {
      // A value that the model cannot take, such as an index out of range, says nothing of rows.
      failure = (error as Error).message;
    }
  }
  if (rows.length < ROWS_MIN) return { independent: false, reason: `random rows fail: ${failure}` };
  try {
    const counts = rows.map(() => 1);
    const together = splitInto(await run(joinRows(rows)), counts);
    for (const [index, one] of alone.entries())
      for (const name of Object.keys(one))
        if (!alike(one[name]!, together[index]![name]!))
          return { independent: false, reason: `its output "${name}" is another when rows are run together` };
  } catch (error) {
    return { independent: false, reason: `${rows.length} rows together fail: ${(error as Error).message}` };
  }
  return { independent: true, reason: `${rows.length} random rows gave the same alone and together` };
}

function elementsOf(row: TensorMap): number {
  return Object.values(row).reduce((sum, { data }) => sum + data.length, 0);
}

/** Equal but for rounding: a batch takes other paths through matrix products than a row does. */
function alike(a: Tensor, b: Tensor): boolean {
  if (a.dtype !== b.dtype || String(a.dims) !== String(b.dims)) return false;
  const tolerance = a.dtype === 'float64' ? 1e-9 : a.dtype === 'float16' ? 1e-2 : 1e-4;
  const value = a.dtype === 'float16' ? (bits: unknown) => fromHalfBits(bits as number) : Number;
  for (let i = 0; i < a.data.length; i++) {
    if (a.data[i] === b.data[i]) continue;
    if (!a.dtype.startsWith('float')) return false;
    const x = value(a.data[i]);
    const y = value(b.data[i]);
    const same = x === y || (Number.isNaN(x) && Number.isNaN(y));
    if (!same && !(Math.abs(x - y) <= tolerance * (1e-1 + Math.max(Math.abs(x), Math.abs(y))))) return false;
  }
  return true;
}
