/** Converts the live state of a prediction that has ended into a row of the ledger. */

import type { LivePrediction } from '../live/state.ts';
import { sharedNow } from '../postgres/clock.ts';
import { BULL_PRIORITY, isTerminal, type Priority } from '../predictions/prediction.ts';
import type { PredictionOptions, TerminalRow } from './ledger-rows.ts';

const PRIORITIES: readonly Priority[] = ['high', 'normal', 'low'];
const PRIORITY_OF = new Map(PRIORITIES.map((name) => [BULL_PRIORITY[name], name]));

interface StoredOptions extends PredictionOptions {
  idempotency?: string;
}

/** Returns the row of a terminal live state. Throws for a state that is not terminal. */
export function terminalRowOf(state: LivePrediction): TerminalRow {
  if (!isTerminal(state.status)) throw new TypeError(`The prediction ${state.id} is ${state.status}: expected an end.`);
  const stored: StoredOptions = state.options === '' ? {} : JSON.parse(state.options);
  const { idempotency, ...options } = stored;
  return {
    id: state.id,
    tenant: state.tenant,
    model: state.model,
    version: state.version,
    digest: state.digest,
    priority: PRIORITY_OF.get(state.priority) ?? 'normal',
    // A succeeded prediction is not run again and needs no task.
    task: state.status === 'succeeded' ? '' : state.task,
    options: options.webhook ? options : null,
    metadata: state.metadata,
    createdAt: state.createdAt,
    expiresAt: state.expiresAt,
    idempotencyHash: idempotency ?? null,
    status: state.status,
    result: state.result,
    startedAt: state.startedAt,
    completedAt: state.completedAt ?? sharedNow(),
    attempts: state.attempts,
    opening: state.opening,
    inferenceMs: state.inferenceMs,
    batchSize: state.batchSize,
  };
}
