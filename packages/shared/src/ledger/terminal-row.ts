/** Converts terminal states into rows of the ledger, and rows into predictions. */

import { sharedNow } from '../postgres/clock.ts';
import { isTerminal, type Prediction } from '../predictions/prediction.ts';
import { factsOfState, type PredictionState, priorityOf, timelineFactsOf } from '../predictions/prediction-state.ts';
import { type RequestOptions, readOptions } from '../predictions/request-options.ts';
import { textOfTask } from '../predictions/task.ts';
import type { LedgerRow, ListedRow, PredictionOptions, TasklessRow, TerminalRow } from './ledger-rows.ts';

/** Returns the row of a terminal state. Throws for a state that is not terminal. */
export function terminalRowOf(state: PredictionState): TerminalRow {
  if (!isTerminal(state.status)) throw new TypeError(`The prediction ${state.id} is ${state.status}: expected an end.`);
  const options = readOptions(state.options);
  const { rows, list, cache } = factsOfState(state, options);
  const { workerId, queuedAt, batchedAt, earlierAttempts } = timelineFactsOf(state, options);
  // Every recorded end is copied here. Named members take a fifth of the time of a spread.
  const row: TerminalRow = {
    id: state.id,
    tenant: state.tenant,
    model: state.model,
    version: state.version,
    digest: state.digest,
    priority: priorityOf(state.priority),
    // A succeeded prediction is not run again and needs no task.
    task: state.status === 'succeeded' ? '' : textOfTask(state.task),
    options: storedOptions(options),
    metadata: state.metadata,
    createdAt: state.createdAt,
    expiresAt: state.expiresAt,
    idempotencyHash: options.idempotency ?? null,
    rows,
    list,
    cache,
    status: state.status,
    result: state.result,
    startedAt: state.startedAt,
    completedAt: state.completedAt ?? sharedNow(),
    attempts: state.attempts,
    opening: state.opening,
    inferenceMs: state.inferenceMs,
    batchSize: state.batchSize,
    workerId,
    queuedAt,
    batchedAt,
    earlierAttempts,
  };
  if (state.ledgerOutput) row.ledgerOutput = state.ledgerOutput;
  return row;
}

/** The options of a request that the ledger stores as JSON; null for none. */
export function storedOptions({ webhook, trace }: RequestOptions): PredictionOptions | null {
  if (webhook === undefined && trace === undefined) return null;
  return { ...(webhook ? { webhook } : {}), ...(trace ? { trace } : {}) };
}

/** The prediction of a row of the ledger. */
export const predictionOfRow = (row: LedgerRow | TasklessRow | ListedRow): Prediction => ({
  ...row,
  webhook: row.options?.webhook ?? null,
});
