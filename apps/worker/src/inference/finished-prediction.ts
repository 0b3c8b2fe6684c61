/** The end of a computed prediction: its output from the results of its rows, or the error of a row. */
import type { Finished } from '@millrace/shared/live/store';
import type { Text } from '@millrace/shared/predictions/long-text';
import { assembleOutput } from '@millrace/shared/predictions/output';
import { type RowError, resultWithErrors } from '@millrace/shared/predictions/row-errors';
import { problemOfRow } from './row-problem.ts';
import type { Work } from './work.ts';

export function finishedOf(
  { taken, task, results }: Work,
  { startedAt, batchedAt }: Pick<Finished, 'startedAt' | 'batchedAt'>,
): Finished {
  let inferenceMs = 0;
  let batchSize = 0;
  const outputs: Text[] = [];
  const invalid = task.invalid ?? [];
  const errors: RowError[] = [];
  // At least one row must have an output: otherwise the prediction fails, and a client can retry the prediction.
  const keeps = task.onError === 'row' && results.filter((result) => result?.ok).length > invalid.length;
  for (let at = 0; at < results.length; at += 1) {
    const result = results[at];
    if (!result?.ok) {
      const error = problemOfRow(result, task.shape === 'list' ? `/inputs/${at}` : '/input');
      if (keeps) {
        errors.push({ row: at, error });
        outputs.push('null');
        continue;
      }
      return {
        id: taken.id,
        attempt: taken.attempt,
        status: 'failed',
        result: JSON.stringify(error),
        startedAt,
        batchedAt,
        inferenceMs,
        batchSize,
      };
    }
    outputs.push(result.output);
    // The live state has thousandths.
    inferenceMs = Math.max(inferenceMs, Math.round(result.inferenceMs * 1000) / 1000);
    batchSize = Math.max(batchSize, result.batchSize);
  }
  const output = assembleOutput(task.shape, outputs);
  const result = keeps ? resultWithErrors(output, [...invalid, ...errors]) : output;
  const { id, attempt, state } = taken;
  return { id, attempt, state, status: 'succeeded', result, startedAt, batchedAt, inferenceMs, batchSize };
}
