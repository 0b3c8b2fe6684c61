/** Converts live states into rows of the ledger, and states and rows into predictions. */

import type { LivePrediction } from '../live/state.ts';
import { sharedNow } from '../postgres/clock.ts';
import { BULL_PRIORITY, type CacheUse, isTerminal, type Prediction, type Priority } from '../predictions/prediction.ts';
import { factsOf, type RequestFacts, type RequestOptions, readOptions } from '../predictions/request-options.ts';
import { textOfTask } from '../predictions/task.ts';
import type { TimelineFacts } from '../predictions/timeline.ts';
import type { LedgerRow, ListedRow, PredictionOptions, TasklessRow, TerminalRow } from './ledger-rows.ts';

const PRIORITIES: readonly Priority[] = ['high', 'normal', 'low'];
const PRIORITY_OF = new Map(PRIORITIES.map((name) => [BULL_PRIORITY[name], name]));

/** The name of a priority number of BullMQ. */
export const priorityOf = (number: number): Priority => PRIORITY_OF.get(number) ?? 'normal';

/** Returns the row of a terminal live state. Throws for a state that is not terminal. */
export function terminalRowOf(state: LivePrediction): TerminalRow {
  if (!isTerminal(state.status)) throw new TypeError(`The prediction ${state.id} is ${state.status}: expected an end.`);
  const options = readOptions(state.options);
  return {
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
    ...factsOfState(state, options),
    status: state.status,
    result: state.result,
    startedAt: state.startedAt,
    completedAt: state.completedAt ?? sharedNow(),
    attempts: state.attempts,
    opening: state.opening,
    inferenceMs: state.inferenceMs,
    batchSize: state.batchSize,
    ...timelineFactsOf(state, options),
  };
}

/** The options of a request that the ledger stores as JSON; null for none. */
export function storedOptions({ webhook, trace }: RequestOptions): PredictionOptions | null {
  if (webhook === undefined && trace === undefined) return null;
  return { ...(webhook ? { webhook } : {}), ...(trace ? { trace } : {}) };
}

/** The facts for the timeline of a live state. */
export function timelineFactsOf(
  state: LivePrediction,
  { queued = 0, batched, past }: RequestOptions = readOptions(state.options),
): TimelineFacts {
  const { status, attempts, workerId, createdAt, startedAt } = state;
  return {
    workerId,
    // The result of a prediction without an attempt was in the cache.
    queuedAt: status === 'succeeded' && attempts === 0 ? null : createdAt + queued,
    batchedAt: startedAt === null || batched === undefined ? null : startedAt + batched,
    earlierAttempts: past === undefined ? null : JSON.stringify(past),
  };
}

/** The prediction of a live state. */
export function predictionOfState(state: LivePrediction): Prediction {
  const options = readOptions(state.options);
  return {
    ...state,
    priority: priorityOf(state.priority),
    webhook: options.webhook ?? null,
    ...factsOfState(state, options),
  };
}

/** The prediction of a row of the ledger. */
export const predictionOfRow = (row: LedgerRow | TasklessRow | ListedRow): Prediction => ({
  ...row,
  webhook: row.options?.webhook ?? null,
});

function factsOfState(state: LivePrediction, options: RequestOptions): RequestFacts {
  const facts = factsOf(options);
  return { ...facts, cache: cacheOf(state, facts.cache) };
}

/** A prediction that succeeded without an attempt had its result from the cache. */
function cacheOf({ status, attempts, shared }: LivePrediction, requested: CacheUse | null): CacheUse | null {
  if (status === 'succeeded' && attempts === 0) return 'hit';
  return shared ? 'collapsed' : requested;
}
