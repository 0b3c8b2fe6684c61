/** How a batch that fails is taken apart until the rows that are to blame stand alone. Pure: the runs are given. */
import type { Text } from '@millrace/shared/predictions/long-text';
import type { RowResult } from './protocol/loaded-version.ts';

/** What came of one engine call. `fatal`: it took the engine with it, by time or by crash. `hopeless`: no row can be run. */
export type Attempt =
  | { kind: 'done'; outputs: readonly Text[]; inferenceMs: number }
  | { kind: 'failed'; detail: string }
  | { kind: 'hopeless'; detail: string }
  | { kind: 'fatal'; code: 'inference_failed' | 'inference_timeout'; detail: string };

/**
 * A result for each row, in order. What fails is halved and run again: at most 2n - 1 calls. What kills its engine is
 * run one by one: halving would pay another timeout and another engine for each level.
 */
export async function isolate(
  rows: readonly string[],
  attempt: (rows: readonly string[]) => Promise<Attempt>,
): Promise<RowResult[]> {
  const outcome = rows.length === 0 ? { kind: 'done' as const, outputs: [], inferenceMs: 0 } : await attempt(rows);
  if (outcome.kind === 'done') {
    const { outputs, inferenceMs } = outcome;
    return outputs.map((output) => ({ ok: true, output, inferenceMs, batchSize: rows.length }));
  }
  if (rows.length === 1 || outcome.kind === 'hopeless') {
    const code = outcome.kind === 'fatal' ? outcome.code : 'inference_failed';
    return rows.map(() => ({ ok: false, code, detail: outcome.detail }));
  }
  const results: RowResult[] = [];
  for (const part of outcome.kind === 'fatal' ? singles(rows) : halves(rows))
    results.push(...(await isolate(part, attempt)));
  return results;
}

const singles = (rows: readonly string[]): string[][] => rows.map((row) => [row]);

function halves(rows: readonly string[]): string[][] {
  const middle = Math.ceil(rows.length / 2);
  return [rows.slice(0, middle), rows.slice(middle)];
}

/** Rows in parts of at most `size`, in order; never an empty part. */
export function chunk(rows: readonly string[], size: number): string[][] {
  const parts: string[][] = [];
  for (let at = 0; at < rows.length; at += size) parts.push(rows.slice(at, at + size));
  return parts;
}
