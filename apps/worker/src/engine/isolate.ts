/** Splits a failing batch until the failing rows are isolated. A pure function: the caller gives the function that runs rows. */
import type { Text } from '@millrace/shared/predictions/long-text';
import type { InputFault } from '@millrace/shared/tensors/input-error';
import type { RowResult } from './protocol/loaded-version.ts';

/**
 * The outcome of one engine call. `fatal`: the call ended the engine by a time-out or a crash. `hopeless`: no row can run. `input`: a row is at
 * fault, and not the model.
 */
export type Attempt =
  | { kind: 'done'; outputs: readonly Text[]; inferenceMs: number }
  | { kind: 'failed'; detail: string }
  | { kind: 'input'; detail: string; input: InputFault }
  | { kind: 'hopeless'; detail: string }
  | { kind: 'fatal'; code: 'inference_failed' | 'inference_timeout'; detail: string };

/**
 * Returns a result for each row, in order. A failing batch is halved and runs again, with at most 2n - 1 calls. After a call that ended
 * its engine, each row runs alone: halving would cost another time-out and another engine for each level.
 */
export async function isolate<R>(
  rows: readonly R[],
  attempt: (rows: readonly R[]) => Promise<Attempt>,
): Promise<RowResult[]> {
  const outcome = rows.length === 0 ? { kind: 'done' as const, outputs: [], inferenceMs: 0 } : await attempt(rows);
  if (outcome.kind === 'done') {
    const { outputs, inferenceMs } = outcome;
    return outputs.map((output) => ({ ok: true, output, inferenceMs, batchSize: rows.length }));
  }
  if (rows.length === 1 && outcome.kind === 'input')
    return [{ ok: false, code: 'invalid_input', detail: outcome.detail, input: outcome.input }];
  if (rows.length === 1 || outcome.kind === 'hopeless') {
    const code = outcome.kind === 'fatal' ? outcome.code : 'inference_failed';
    return rows.map(() => ({ ok: false, code, detail: outcome.detail }));
  }
  const results: RowResult[] = [];
  for (const part of outcome.kind === 'fatal' ? singles(rows) : halves(rows))
    results.push(...(await isolate(part, attempt)));
  return results;
}

const singles = <R>(rows: readonly R[]): R[][] => rows.map((row) => [row]);

function halves<R>(rows: readonly R[]): R[][] {
  const middle = Math.ceil(rows.length / 2);
  return [rows.slice(0, middle), rows.slice(middle)];
}

/** Splits rows into parts of at most `size`, in order, without empty parts. */
export function chunk<R>(rows: readonly R[], size: number): R[][] {
  const parts: R[][] = [];
  for (let at = 0; at < rows.length; at += size) parts.push(rows.slice(at, at + size));
  return parts;
}
