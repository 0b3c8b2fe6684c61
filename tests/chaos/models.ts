/** Models whose outputs are known without Millrace, and requests for them. */
import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { lookup, perceptron, spinner } from '../support/onnx-models.ts';

export interface TestRequest {
  model: string;
  input: unknown;
  /** The expected `output` as JSON. Undefined for an expected failure. */
  expected: string | undefined;
  /** A failure with a reason is also allowed: a request that was alone in a dead engine may have caused its end. */
  mayFail?: boolean;
}

export const TIMEOUT_MS = 2_000;

export async function writeModels(dir: string): Promise<void> {
  const put = async (name: string, model: Buffer, config: object) => {
    await mkdir(path.join(dir, name, '1'), { recursive: true });
    await writeFile(path.join(dir, name, '1', 'model.onnx'), model);
    await writeFile(path.join(dir, name, 'model.json'), JSON.stringify(config));
  };
  // Rows are independent. The configuration says so, because the trial would run many iterations.
  await put('quick', perceptron(), { max_batch: 64, row_independent: true });
  await put('slow', spinner(), { max_batch: 4, row_independent: true, timeout_ms: TIMEOUT_MS });
  await put('lookup', lookup(), { max_batch: 64, row_independent: true });
}

let used = 0;
/** A number that no other request of this run has. */
export const nextNumber = (): number => {
  used += 1;
  return used;
};

const output = (dtype: string, shape: number[], data: number[]): string =>
  JSON.stringify({ y: { dtype, shape, data } });

/** Requests entry `at` of the table 10, 11, 12, 13. An `at` outside the table makes the model fail. */
export const entry = (at: number): TestRequest => ({
  model: 'lookup',
  input: { x: [at] },
  expected: at > 3 ? undefined : output('float32', [1], [10 + at]),
});

/** Requests y = relu(x · [[1, -1], [2, -2]]) for a new x, exact in float32. */
export function quick(n = nextNumber()): TestRequest {
  const a = n % 4_096;
  const b = Math.floor(n / 4_096);
  const sum = a + 2 * b;
  return { model: 'quick', input: { x: [[a, b]] }, expected: output('float32', [1, 2], [sum, 0]) };
}

/** Approximate iterations of the spinner per millisecond, determined by trial. */
const TURNS_PER_MS = 1_500;

/** Requests a computation of about `ms`. */
export function slow(ms: number, n = nextNumber()): TestRequest {
  const turns = Math.round(ms * TURNS_PER_MS) + n;
  return { model: 'slow', input: { x: [turns] }, expected: output('int64', [1], [turns]) };
}

/** Never ends: its engine is killed. */
export function hanging(n = nextNumber()): TestRequest {
  return { model: 'slow', input: { x: [1_000_000_000_000 + n] }, expected: undefined };
}
