/** The state of a prediction with the fields that its JSON does not show, and the prediction of a state. */
import { BULL_PRIORITY, type CacheUse, type Prediction, type PredictionRecord, type Priority } from './prediction.ts';
import { factsOf, type RequestFacts, type RequestOptions, readOptions } from './request-options.ts';
import type { StoredTask } from './task.ts';
import type { TimelineFacts } from './timeline.ts';

/** Names an output that is not in the live state, because the ledger has the output: see ledger/staged-outputs.ts. */
export interface LedgerOutput {
  bytes: number;
  checksum: number;
}

export interface PredictionState extends PredictionRecord {
  tenant: string;
  digest: string;
  /** The priority number of BullMQ. */
  priority: number;
  /** JSON text of `RequestOptions`; '' for none. */
  options: string;
  /** Whether the prediction follows a leader, or has the result of a leader. */
  shared: boolean;
  /** The worker of the last attempt; null before the first attempt. */
  workerId: string | null;
  /** '' after a success. */
  task: StoredTask;
  /** Present where the ledger has the output: `result` is then ''. */
  ledgerOutput?: LedgerOutput;
}

const PRIORITIES: readonly Priority[] = ['high', 'normal', 'low'];
const PRIORITY_OF = new Map(PRIORITIES.map((name) => [BULL_PRIORITY[name], name]));

/** The name of a priority number of BullMQ. */
export const priorityOf = (number: number): Priority => PRIORITY_OF.get(number) ?? 'normal';

/** The prediction of a state. */
export function predictionOfState(state: PredictionState): Prediction {
  const options = readOptions(state.options);
  return {
    ...state,
    priority: priorityOf(state.priority),
    webhook: options.webhook ?? null,
    ...factsOfState(state, options),
  };
}

/** The facts of the request, with the use of the cache. `options` are the options of the state. */
export function factsOfState(state: PredictionState, options: RequestOptions): RequestFacts {
  const { rows, list, cache } = factsOf(options);
  return { rows, list, cache: cacheOf(state, cache) };
}

/** A prediction that succeeded without an attempt had its result from the cache. */
function cacheOf({ status, attempts, shared }: PredictionState, requested: CacheUse | null): CacheUse | null {
  if (status === 'succeeded' && attempts === 0) return 'hit';
  return shared ? 'collapsed' : requested;
}

/** The facts for the timeline of a state. */
export function timelineFactsOf(
  state: PredictionState,
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
