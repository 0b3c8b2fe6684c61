/** Finds predictions: first in Redis, which has all open and all recently ended predictions, and then in the ledger. */

import { ApiError } from '@millrace/shared/errors';
import type { TasklessRow } from '@millrace/shared/ledger/ledger-rows';
import { predictionOfRow } from '@millrace/shared/ledger/terminal-row';
import type { LivePrediction, LiveStore } from '@millrace/shared/live/store';
import { sharedNow } from '@millrace/shared/postgres/clock';
import { isPredictionId } from '@millrace/shared/predictions/ids';
import { isTerminal, type Prediction, type QueueEstimate } from '@millrace/shared/predictions/prediction';
import { predictionOfState, timelineFactsOf } from '@millrace/shared/predictions/prediction-state';
import { otherKind, publicId, uuidOf } from '@millrace/shared/predictions/public-ids';
import { readOptions } from '@millrace/shared/predictions/request-options';
import type { TimelineFacts } from '@millrace/shared/predictions/timeline';
import type { DisconnectSignal } from '../http/client-disconnect.ts';
import { fromStore } from '../http/store-errors.ts';
import { aheadOf, estimate } from '../queue/admission.ts';
import { type CompletedEnd, type CompletionListener, withEnd } from '../queue/completion-listener.ts';
import type { WithOutput } from '../queue/ledger-outputs.ts';
import type { QueueLoad } from '../queue/queue-load.ts';

export interface Found {
  record: Prediction;
  /** The estimate of a queued prediction. */
  queue: QueueEstimate | undefined;
  /** Absent after a wait: the event of an end does not have these facts. */
  facts?: Facts;
}

/** The facts that only `GET /v1/predictions/{id}` shows. */
export interface Facts extends TimelineFacts {
  /** The trace context of the request: see RequestOptions. */
  trace: string | null;
}

export interface WaitForEndParams {
  tenant: string;
  record: Prediction;
  waitMs: number;
  signal: DisconnectSignal;
}

export interface PredictionLookup {
  /** Returns null when the tenant has no prediction of this id. */
  find(tenant: string, id: string): Promise<Found | null>;
  /** Does the same as `find`, and throws `prediction_not_found` instead of returning null. */
  get(tenant: string, id: string): Promise<Found>;
  /** Waits up to `waitMs` for the end of a prediction and returns its state then. Returns null when the client disconnects. */
  waitForEnd(params: WaitForEndParams): Promise<Found | null>;
}

export interface LookupDeps {
  live: LiveStore;
  withOutput: WithOutput;
  loads: QueueLoad;
  completions: CompletionListener;
  findInLedger(tenant: string, id: string): Promise<TasklessRow | null>;
  /** Whether the clock of this process is right, so that this process may end overdue predictions. */
  isClockRight(): boolean;
}

export function createPredictionLookup(deps: LookupDeps): PredictionLookup {
  const find: PredictionLookup['find'] = (tenant, id) => findPrediction(deps, tenant, id);
  return {
    find,
    async get(tenant, id) {
      const found = await find(tenant, id);
      if (found) return found;
      throw notFound(publicId('pred', id));
    },
    waitForEnd: (params) => waitForEnd(deps, params),
  };
}

/** Returns the UUID of the id in a path. Throws `prediction_not_found` for text that is no id of a prediction. */
export function predictionUuid(id: string): string {
  const uuid = uuidOf('pred', id);
  if (uuid !== undefined && isPredictionId(uuid)) return uuid;
  throw notFound(id);
}

function notFound(id: string): ApiError {
  const shown = id.slice(0, 64);
  const kind = otherKind('pred', id);
  const detail =
    kind === undefined
      ? `There is no prediction '${shown}'.`
      : `'${shown}' is the id of ${kind}: the id of a prediction begins with pred_.`;
  return new ApiError('prediction_not_found', detail);
}

async function findPrediction(deps: LookupDeps, tenant: string, id: string): Promise<Found | null> {
  const { live } = deps;
  if (!isPredictionId(id)) return null;
  let redisError: unknown;
  let state = await live.read(id).catch((error) => {
    redisError = error;
    return null;
  });
  if (state && state.tenant !== tenant) return null;
  if (state && isOverdue(state) && deps.isClockRight()) {
    await fromStore('Redis', live.end(id, { tenant, status: 'expired', nowMs: sharedNow() }));
    state = await fromStore('Redis', live.read(id));
  }
  if (state?.ledgerOutput) state = await fromStore('Postgres', deps.withOutput(state));
  if (state) return { record: predictionOfState(state), queue: queueOf(deps, state), facts: factsOf(state) };
  const row = await fromStore('Postgres', deps.findInLedger(tenant, id));
  // While Redis does not respond, the ledger's row is the result. A prediction without a promise is only in Redis.
  if (row === null && redisError !== undefined) {
    const detail = 'Redis does not respond. Send the request again later.';
    throw new ApiError('store_unavailable', detail, { retryAfterS: 1, cause: redisError });
  }
  return row === null
    ? null
    : { record: predictionOfRow(row), queue: undefined, facts: { ...row, trace: row.options?.trace ?? null } };
}

const factsOf = (state: LivePrediction): Facts => ({
  ...timelineFactsOf(state),
  trace: readOptions(state.options).trace ?? null,
});

function queueOf({ loads }: LookupDeps, state: LivePrediction): QueueEstimate | undefined {
  if (state.status !== 'queued') return undefined;
  const now = sharedNow();
  const load = loads.current(state.model, now);
  return estimate(state.number === null ? 0 : aheadOf(load.counts, state.priority, state.number), load, now);
}

async function waitForEnd(
  deps: LookupDeps,
  { tenant, record, waitMs, signal }: WaitForEndParams,
): Promise<Found | null> {
  const { completions } = deps;
  const { id } = record;
  if (isTerminal(record.status) || waitMs <= 0) return { record, queue: undefined };
  const untilDeadline = record.expiresAt === null ? waitMs : Math.max(1, record.expiresAt - sharedNow() + 1);
  const { promise, resolve } = Promise.withResolvers<CompletedEnd | null>();
  // The wait is registered before the state is read again, so that no end in between is missed.
  const waiter = completions.register({ id, waitMs: Math.min(waitMs, untilDeadline), signal, onCompleted: resolve });
  waiter.opening = record.opening;
  const now = await findPrediction(deps, tenant, id);
  if (now && isTerminal(now.record.status)) {
    completions.forget(waiter);
    return now;
  }
  const end = await promise;
  if (end) return { record: withEnd({ ...(now?.record ?? record) }, end), queue: undefined };
  return findPrediction(deps, tenant, id);
}

const isOverdue = (state: LivePrediction): boolean =>
  !isTerminal(state.status) && state.expiresAt !== null && state.expiresAt <= sharedNow();
