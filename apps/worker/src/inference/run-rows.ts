/** Runs rows on the engines: engine batches, and the predictions of the rows of an engine that ended. */
import type { Row } from '@millrace/shared/predictions/task';
import type { EnginePool, EngineRun } from '../engine/engine-pool.ts';
import type { RowResult } from '../engine/protocol/loaded-version.ts';
import type { WorkerMetrics } from '../operations/metrics.ts';
import type { Target, Work } from './work.ts';

/** Most bytes of the outputs of one run. */
export const RUN_BYTES = 32 * 1_048_576;

export interface RowsDeps {
  pool: EnginePool;
  metrics: WorkerMetrics;
}

interface RowsRun {
  rows: readonly Row[];
  onRun: ((run: EngineRun) => void) | undefined;
  idsOf?: (rows: readonly Row[]) => readonly string[];
}

/** Finds the predictions of rows, only after the end of an engine. */
export const idsOfRows =
  (works: readonly Work[]) =>
  (rows: readonly Row[]): readonly string[] =>
    works.filter(({ task }) => task.rows.some((row) => rows.includes(row))).map(({ taken }) => taken.id);

/**
 * Splits the rows into engine batches, so that several engines share a large prediction. Only as many batches wait for an engine as keep
 * all engines busy, so that other runs alternate with them.
 */
export async function runRows(
  { pool, metrics }: RowsDeps,
  { loaded, priority }: Target,
  { rows, onRun, idsOf }: RowsRun,
): Promise<RowResult[]> {
  const options = { priority, ...(onRun && { onRun }), ...(idsOf && { idsOf }) };
  const { model, maxBatch } = loaded;
  if (rows.length <= maxBatch) {
    metrics.engines.filled(model, rows.length, maxBatch);
    return pool.run(loaded, rows, options);
  }
  const parts: RowResult[][] = [];
  let next = 0;
  const runParts = async (): Promise<void> => {
    for (let at = next; at < rows.length; at = next) {
      next = at + maxBatch;
      metrics.engines.filled(model, Math.min(maxBatch, rows.length - at), maxBatch);
      parts[at / maxBatch] = await pool.run(loaded, rows.slice(at, next), options);
    }
  };
  await Promise.all(Array.from({ length: pool.size + 1 }, runParts));
  return parts.flat();
}
