/** Models with answers that can be told without Millrace, and the questions that are put to them. */
import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { lookup, perceptron, spinner } from '../support/onnx-models.ts';

export interface Question {
  model: string;
  input: unknown;
  /** What `output` must be, as JSON; undefined where it must fail. */
  expected: string | undefined;
  /** It may fail as well, with a reason: one that was alone in an engine that ended may be what it ended of. */
  mayFail?: boolean;
}

export const TIMEOUT_MS = 2_000;

export async function writeModels(dir: string): Promise<void> {
  const put = async (name: string, model: Buffer, config: object) => {
    await mkdir(path.join(dir, name, '1'), { recursive: true });
    await writeFile(path.join(dir, name, '1', 'model.onnx'), model);
    await writeFile(path.join(dir, name, 'model.json'), JSON.stringify(config));
  };
  // Its answer to a row stands by itself; said here, since the trial of it would run many turns.
  await put('quick', perceptron(), { max_batch: 64, row_independent: true });
  await put('slow', spinner(), { max_batch: 4, row_independent: true, timeout_ms: TIMEOUT_MS });
  await put('lookup', lookup(), { max_batch: 64, row_independent: true });
}

let asked = 0;
/** A number that no other question of this run has. */
export const nextNumber = (): number => {
  asked += 1;
  return asked;
};

const output = (dtype: string, shape: number[], data: number[]): string =>
  JSON.stringify({ y: { dtype, shape, data } });

/** Asks entry `at` of the table 10, 11, 12, 13: an `at` beyond it is poison. */
export const entry = (at: number): Question => ({
  model: 'lookup',
  input: { x: [at] },
  expected: at > 3 ? undefined : output('float32', [1], [10 + at]),
});

/** Asks y = relu(x · [[1, -1], [2, -2]]) of an x that nobody asked before; exact in float32. */
export function quick(n = nextNumber()): Question {
  const a = n % 4_096;
  const b = Math.floor(n / 4_096);
  const sum = a + 2 * b;
  return { model: 'quick', input: { x: [[a, b]] }, expected: output('float32', [1, 2], [sum, 0]) };
}

/** Turns of the spinner in a millisecond, roughly: set once, by trial. */
const TURNS_PER_MS = 1_500;

/** Asks something that takes about `ms` to compute. */
export function slow(ms: number, n = nextNumber()): Question {
  const turns = Math.round(ms * TURNS_PER_MS) + n;
  return { model: 'slow', input: { x: [turns] }, expected: output('int64', [1], [turns]) };
}

/** Never comes back: its engine is killed. */
export function hanging(n = nextNumber()): Question {
  return { model: 'slow', input: { x: [1_000_000_000_000 + n] }, expected: undefined };
}
