/** An ended live state as the ledger wants it. */

import type { LivePrediction } from '../live/state.ts';
import { sharedNow } from '../postgres/clock.ts';
import { BULL_PRIORITY, type Priority, type TerminalStatus } from '../predictions/prediction.ts';
import type { PredictionOptions, TerminalRow } from './ledger-rows.ts';

const PRIORITY_OF = new Map(Object.entries(BULL_PRIORITY).map(([name, number]) => [number, name as Priority]));

/** The row of a state that is terminal. */
export function terminalRowOf(state: LivePrediction): TerminalRow {
  const { idempotency, ...options } = (state.options === '' ? {} : JSON.parse(state.options)) as PredictionOptions & {
    idempotency?: string;
  };
  return {
    id: state.id,
    tenant: state.tenant,
    model: state.model,
    version: state.version,
    digest: state.digest,
    priority: PRIORITY_OF.get(state.priority) ?? 'normal',
    // Only what can be run again needs its task.
    task: state.status === 'succeeded' ? '' : state.task,
    options: options.webhook ? options : null,
    metadata: state.metadata,
    createdAt: state.createdAt,
    expiresAt: state.expiresAt,
    idempotencyHash: idempotency ?? null,
    status: state.status as TerminalStatus,
    result: state.result,
    startedAt: state.startedAt,
    completedAt: state.completedAt ?? sharedNow(),
    attempts: state.attempts,
    opening: state.opening,
    inferenceMs: state.inferenceMs,
    batchSize: state.batchSize,
  };
}
