/** The caller does not wait for the result: the API commits a promise to the ledger and responds with 202. */

import { ApiError, concerning } from '@millrace/shared/errors';
import type { PromiseRow } from '@millrace/shared/ledger/ledger-rows';
import type { LiveStore, NewPrediction, QueueCounts } from '@millrace/shared/live/store';
import { sharedNow } from '@millrace/shared/postgres/clock';
import { bytesInLedger, promisedTask } from '@millrace/shared/predictions/ledger-task';
import { BULL_PRIORITY, isTerminal, type Prediction } from '@millrace/shared/predictions/prediction';
import { publicId } from '@millrace/shared/predictions/public-ids';
import { textOfTask } from '@millrace/shared/predictions/task';
import type { BytesSupport } from '@millrace/shared/queue/bytes-support';
import type { SlotReader } from '@millrace/shared/queue/slot-reader';
import { type MissParams, missStatus } from '../cache/cache-status.ts';
import { committed, fromStore, WriteOutcomeUnknown } from '../http/store-errors.ts';
import { aheadOf, estimate, type Limits, waitingOf } from '../queue/admission.ts';
import type { EstimateWatch } from '../queue/estimate-watch.ts';
import type { PromisedInputs } from '../queue/promised-inputs.ts';
import type { QueueLoad } from '../queue/queue-load.ts';
import type { SubmitResult, Submitter } from '../queue/submitter.ts';
import type { Found, PredictionLookup } from './find-prediction.ts';
import { inProgress } from './idempotency.ts';
import type { AcceptedOutcome, CompletedOutcome, Outcome } from './outcome.ts';
import { type PendingPrediction, predictionOf, promiseRow } from './prediction-request.ts';
import { endSubmission, inPromiseSpan } from './submission-span.ts';

export interface PromiseDeps {
  live: LiveStore;
  slotReader: SlotReader;
  bytesSupport: Pick<BytesSupport, 'isSupported'>;
  promisedInputs: Pick<PromisedInputs, 'check'>;
  submitter: Submitter;
  loads: QueueLoad;
  estimates: EstimateWatch;
  lookup: PredictionLookup;
  /** Throws ApiError while the queue Redis takes no writes. */
  checkRedis(): void;
  /** Whether the cache Redis takes writes. */
  cacheWritable(): boolean;
  /** Commits a promise to the ledger. */
  insertPromise(row: PromiseRow): Promise<void>;
  limits: Pick<Limits, 'maxQueue'>;
}

/** Commits the promise before the submission: after the commit the prediction is promised, also when Redis fails. */
export async function promiseResult(
  deps: PromiseDeps,
  pending: PendingPrediction,
  item: NewPrediction,
): Promise<Outcome> {
  deps.checkRedis();
  const row = promiseRow(pending, item);
  const commit = async () => {
    await deps.promisedInputs.check(row);
    await committed(deps.insertPromise(row));
  };
  await inPromiseSpan(pending, commit).catch((error) => {
    endSubmission(pending, error);
    throw concerningUnknown(error, pending.id);
  });
  let submitted: SubmitResult | undefined;
  try {
    const task = promisedTask(row.task, deps.bytesSupport.isSupported);
    submitted = await deps.submitter.submit(pending, { ...item, task });
    endSubmission(pending);
  } catch (error) {
    endSubmission(pending, error);
    // The reconciler finds the promise in the ledger and submits the prediction.
  }
  if (submitted?.submitted.outcome === 'done') {
    const found = await deps.lookup.find(pending.request.tenant, pending.id);
    if (found && isTerminal(found.record.status))
      return completedOutcome(deps, { pending, submitted, record: found.record });
  }
  return acceptedOutcome(deps, { pending, submitted });
}

/** Commits the promise of a prediction that is in Redis. */
export async function commitPromise(deps: PromiseDeps, pending: PendingPrediction, item: NewPrediction): Promise<void> {
  try {
    await inPromiseSpan(pending, () => committed(deps.insertPromise(promiseRow(pending, item))));
  } catch (error) {
    throw withdraw(deps, { pending, error });
  }
}

export interface FollowParams {
  pending: PendingPrediction;
  /** Builds this request's prediction in the form of the queue, with a task of text. */
  item(): NewPrediction;
  /** The prediction of the first request with the idempotency key. */
  original: Found;
}

/** Returns the prediction of the original request to a duplicate request, after a wait where the caller waits. */
export async function followPrediction(deps: PromiseDeps, params: FollowParams): Promise<Outcome> {
  const { lookup, loads, limits } = deps;
  const { pending, original } = params;
  const { prefer, signal, tenant } = pending.request;
  const waitMs = (prefer.waitS ?? 0) * 1000;
  // Before the wait, because the reconciler gives a job only to a promised prediction. A failure matters only without a result.
  const promised = isTerminal(original.record.status) ? Promise.resolve() : promiseOriginal(deps, params);
  promised.catch(() => {});
  const found = (await lookup.waitForEnd({ tenant, record: original.record, waitMs, signal })) ?? original;
  const cacheStatus = 'millrace; fwd=request; collapsed';
  if (isTerminal(found.record.status)) return { kind: 'completed', record: found.record, cacheStatus };
  await promised;
  const nowMs = sharedNow();
  const room = roomIn(loads.current(found.record.model, nowMs).counts, limits);
  const queue = found.queue ?? estimate(0, { perMs: undefined }, nowMs);
  return { kind: 'accepted', record: found.record, queue, room, cacheStatus };
}

/**
 * Commits the promise of an open prediction for a duplicate request. The original request promises its prediction only at the end
 * of its wait. Its API process may have been killed during the wait, or between the live state and the job.
 */
async function promiseOriginal(deps: PromiseDeps, { pending, item, original }: FollowParams): Promise<void> {
  const { id, version, digest, priority, createdAt, expiresAt } = original.record;
  const row = { ...promiseRow(pending, item()), id, version, digest, priority, createdAt, expiresAt };
  // The default version has changed since the original request, and the input of this request is for the new version.
  if (digest !== pending.served.version.digest) {
    const state = await fromStore('Redis', deps.live.readWhole(id));
    // The prediction is promised already.
    if (state !== null && bytesInLedger(state.task) !== undefined) return;
    row.task = state === null ? '' : textOfTask(await deps.slotReader.whole(state.task));
    if (row.task === '') throw inProgress(id);
  }
  await committed(deps.insertPromise(row)).catch((error) => {
    throw concerningUnknown(error, id);
  });
}

export interface WithdrawParams {
  pending: PendingPrediction;
  error: unknown;
}

/**
 * Cancels the prediction of a failed request and returns the error to throw. The failed call may have written the prediction,
 * but no client knows the prediction. With an idempotency key the prediction stays: the client repeats the request and finds
 * the prediction.
 */
export function withdraw({ live }: Pick<PromiseDeps, 'live'>, { pending, error }: WithdrawParams): unknown {
  // Redis had no memory and wrote nothing: the idempotency key is free again, and no state must stay without a job.
  const refused = error instanceof ApiError && error.code === 'queue_full';
  if (pending.request.idempotencyKey !== undefined && !refused)
    return concerningUnknown(WriteOutcomeUnknown.of(error), pending.id);
  live.end(pending.id, { tenant: pending.request.tenant, status: 'canceled', nowMs: sharedNow() }).catch(() => {});
  return concerningUnknown(error, pending.id);
}

/** A prediction that may exist is named, so that its caller can get or cancel the prediction. */
const concerningUnknown = (error: unknown, id: string): unknown =>
  error instanceof WriteOutcomeUnknown ? concerning(error, publicId('pred', id)) : error;

export interface AcceptedParams {
  pending: PendingPrediction;
  /** Undefined when the submission failed. */
  submitted: SubmitResult | undefined;
}

/** The outcome of a prediction that has ended. */
export function completedOutcome(deps: PromiseDeps, params: AcceptedParams & { record: Prediction }): CompletedOutcome {
  const { pending, submitted, record } = params;
  const miss = missOf(deps, pending, submitted);
  return { kind: 'completed', record, cacheStatus: missStatus({ ...miss, succeeded: record.status === 'succeeded' }) };
}

/** The outcome of a promised prediction, with an estimate that is later compared with the actual end. */
export function acceptedOutcome(deps: PromiseDeps, params: AcceptedParams): AcceptedOutcome {
  const { pending, submitted } = params;
  const cacheStatus = missStatus({ ...missOf(deps, pending, submitted), succeeded: false });
  const { model } = pending.served.registered;
  const nowMs = sharedNow();
  const load = deps.loads.current(model, nowMs);
  const number = submitted?.submitted.outcome === 'lead' ? submitted.submitted.number : undefined;
  const counts = submitted?.counts ?? load.counts;
  const queue = estimate(aheadOf(counts, BULL_PRIORITY[pending.priority], number), load, nowMs);
  deps.estimates.promised({ id: pending.id, model, priority: pending.priority, queue });
  const record = predictionOf(pending, isShared(submitted) ? 'collapsed' : undefined);
  return { kind: 'accepted', record, queue, room: roomIn(counts, deps.limits), cacheStatus };
}

const roomIn = (counts: QueueCounts, { maxQueue }: Pick<Limits, 'maxQueue'>): number =>
  Math.max(0, maxQueue - waitingOf(counts));

/** How the cache missed: which rows were cached, and whether another prediction computes the other rows. */
function missOf(
  { cacheWritable }: Pick<PromiseDeps, 'cacheWritable'>,
  { served, normalized, store, read, cached }: PendingPrediction,
  submitted: SubmitResult | undefined,
): Omit<MissParams, 'succeeded'> {
  const shared = isShared(submitted);
  const { config } = served.version;
  return { input: normalized, config, store, read, shared, cached, cacheWritable: cacheWritable() };
}

function isShared(submitted: SubmitResult | undefined): boolean {
  const outcome = submitted?.submitted.outcome;
  return outcome === 'follow' || outcome === 'done';
}
