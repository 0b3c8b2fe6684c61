/**
 * Finds by trial whether the rows of a model influence each other: rows must give the same outputs alone and in batches. A model
 * passes only when its shapes and its operators allow batches too. `row_independent` in model.json replaces the trial.
 */
import type { TensorMap, TensorSpec } from '@millrace/shared/tensors/tensor';
import { joinRows, splitInto } from '@millrace/shared/tensors/tensor-rows';
import type { TrialResult } from '../protocol/probe-request.ts';
import { firstDifference } from './compare-outputs.ts';
import { type Ranges, type RowKind, randomFrom, randomRow } from './random-input.ts';

export type RunTensors = (tensors: TensorMap) => Promise<TensorMap>;

// Sizes for dimensions that are free beside the first. Models may want a least size or a multiple of something.
const SIZES = [8, 32, 1, 2, 64];
// Rows unlike each other: a mean, a maximum or a range over the batch shows. Whole numbers meet the thresholds of trees.
const KINDS: readonly RowKind[] = [
  { scale: 1 },
  { scale: 10, all: 'most' },
  { scale: 0.5 },
  { scale: 10 },
  { scale: 0.1, all: 'least' },
  { scale: 100 },
  { scale: 0 },
  { scale: 5, whole: true },
  { scale: 10_000 },
  { scale: 1 },
  { scale: 2, whole: true },
  { scale: 100, all: 'least' },
];
const ROWS_MIN = 3;
const SEED = 20_240_607;
const ELEMENTS_MAX = 16_000_000;
const BATCH_MAX = 1_024;
/** A trial ends after this time when the required batches have passed. */
const TRIAL_MS = 10_000;

/** A size of the free dimensions with which one random row runs, and that row's outputs. Undefined if there is none. */
export async function findSize(
  inputs: readonly TensorSpec[],
  run: RunTensors,
  ranges: Ranges,
): Promise<number | undefined> {
  for (const size of SIZES) {
    const row = randomRow(inputs, { size, kind: { scale: 1 }, ranges, random: randomFrom(SEED) });
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

export interface RowTrialParams {
  inputs: readonly TensorSpec[];
  /** Of the free dimensions beside the first. */
  size: number;
  ranges: Ranges;
  /** Most rows that a batch will have. */
  maxBatch: number;
  /** Rows that callers send, beside the random ones. */
  examples: readonly TensorMap[];
}

interface Tried {
  rows: TensorMap[];
  /** Outputs of each row alone. */
  alone: TensorMap[];
}

/** Runs rows alone and together, and compares. */
export async function tryRows(run: RunTensors, params: RowTrialParams): Promise<TrialResult> {
  const { maxBatch } = params;
  const endAt = performance.now() + TRIAL_MS;
  const tried = await runAlone(run, params, endAt);
  if ('reason' in tried) return tried;
  const { rows, alone } = tried;
  const random = randomFrom(SEED + 1);
  const most = Math.floor(ELEMENTS_MAX / Math.max(...rows.map(elementsOf), 1));
  const passed = new Set<number>();
  for (const batch of batches(rows.length, Math.min(maxBatch, BATCH_MAX, most), random)) {
    // The first has each kind of row.
    if (passed.size > 0 && performance.now() > endAt) break;
    try {
      const outputs = splitInto(
        await run(joinRows(batch.map((at) => rows[at]!))),
        batch.map(() => 1),
      );
      for (const [place, at] of batch.entries()) {
        const name = firstDifference(alone[at]!, outputs[place]!);
        if (name !== undefined)
          return {
            independent: false,
            reason: `its output "${name}" of a row is another when ${batch.length} rows are run together`,
          };
      }
    } catch (error) {
      return { independent: false, reason: `${batch.length} rows together fail: ${(error as Error).message}` };
    }
    passed.add(batch.length);
  }
  const sizes = [...passed].sort((a, b) => a - b).join(', ');
  return { independent: true, reason: `${rows.length} rows gave the same alone and in batches of ${sizes}` };
}

async function runAlone(
  run: RunTensors,
  { inputs, size, ranges, examples }: RowTrialParams,
  endAt: number,
): Promise<Tried | TrialResult> {
  const random = randomFrom(SEED);
  const rows: TensorMap[] = [];
  const alone: TensorMap[] = [];
  let failure = '';
  const made = KINDS.map((kind) => () => randomRow(inputs, { size, kind, ranges, random }));
  // One example after the sixth random row: a slow model is tried with both.
  const given = examples.slice(0, KINDS.length).map((row) => () => row);
  for (const make of [...made.slice(0, 6), ...given.slice(0, 1), ...made.slice(6), ...given.slice(1)]) {
    if (rows.length >= 6 && performance.now() > endAt) break;
    const row = make();
    if (elementsOf(row) * 2 > ELEMENTS_MAX) return { independent: false, reason: 'its rows are too large for a trial' };
    try {
      alone.push(await run(row));
      rows.push(row);
    } catch (error) {
      // A value that the model cannot take, such as an index out of range, says nothing of rows.
      failure = (error as Error).message;
    }
  }
  if (rows.length < ROWS_MIN) return { independent: false, reason: `random rows fail: ${failure}` };
  return { rows, alone };
}

/** Which rows go together, by their places: each once, pairs, and larger batches in which rows repeat. */
function* batches(rows: number, most: number, random: () => number): Generator<number[]> {
  const all = [...Array(rows).keys()];
  const any = (count: number) => Array.from({ length: count }, () => Math.floor(random() * rows));
  const upTo = (batch: number[]) => batch.slice(0, Math.max(2, most));
  yield upTo(all);
  for (const pair of [
    [0, 1],
    [1, 0],
    [5 % rows, 2 % rows],
    [0, 0],
  ])
    yield pair;
  for (const size of [7, 16, most]) {
    if (size > Math.max(2, most)) continue;
    yield any(Math.max(2, size));
    yield any(Math.max(2, size));
  }
}

export function elementsOf(row: TensorMap): number {
  return Object.values(row).reduce((sum, { data }) => sum + data.length, 0);
}
