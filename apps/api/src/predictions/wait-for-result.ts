/** The caller waits for the result. A promise in the ledger is needed only when the result takes longer than the wait. */

import type { BatchListener } from '@millrace/shared/batching/batcher';
import type { NewPrediction } from '@millrace/shared/live/store';
import { sharedNow } from '@millrace/shared/postgres/clock';
import { shardOf } from '@millrace/shared/predictions/ids';
import { isTerminal } from '@millrace/shared/predictions/prediction';
import { isCacheSlot } from '@millrace/shared/predictions/slots';
import { storedTask } from '@millrace/shared/predictions/task';
import type { DisconnectSignal } from '../http/client-disconnect.ts';
import { fromStore, storeError } from '../http/store-errors.ts';
import {
  type CompletedEnd,
  type CompletionListener,
  type Resubmitter,
  type Wait,
  type Waiter,
  withEnd,
} from '../queue/completion-listener.ts';
import type { SubmitResult } from '../queue/submitter.ts';
import type { Outcome } from './outcome.ts';
import { type PendingPrediction, predictionOf } from './prediction-request.ts';
import { acceptedOutcome, commitPromise, completedOutcome, type PromiseDeps, withdraw } from './promise-result.ts';
import type { RowSlots } from './row-slots.ts';
import { endSubmission } from './submission-span.ts';

export interface WaitDeps extends PromiseDeps, Pick<RowSlots, 'cacheSlots'> {
  completions: CompletionListener;
}

export function waitForResult(deps: WaitDeps, pending: PendingPrediction, item: NewPrediction): Promise<Outcome> {
  deps.checkRedis();
  const listening = deps.completions.listen(shardOf(pending.served.registered.model));
  if (listening === undefined) return submitAndWait(deps, pending, item);
  // Bound parameters and no closures, which would be objects of every request.
  const start = submitAndWait.bind(undefined, deps, pending, item);
  return fromStore('Redis', listening).then(start, refuse.bind(undefined, pending));
}

function refuse(pending: PendingPrediction, error: unknown): never {
  endSubmission(pending, error);
  throw error;
}

const submitAndWait = (deps: WaitDeps, pending: PendingPrediction, item: NewPrediction): Promise<Outcome> =>
  new Promise((resolve, reject) => new ResultWait(deps, { pending, item, resolve, reject }).start());

interface ResultWaitParams {
  pending: PendingPrediction;
  item: NewPrediction;
  resolve(outcome: Outcome | Promise<Outcome>): void;
  reject(error: unknown): void;
}

/** One wait: ends when both the reply of the submission and the end of the prediction are there, in either order. */
class ResultWait implements Wait, Resubmitter, BatchListener<SubmitResult> {
  readonly id: string;
  readonly waitMs: number;
  readonly signal: DisconnectSignal;
  readonly #deps: WaitDeps;
  readonly #params: ResultWaitParams;
  #waiter: Waiter | undefined;
  #submitted: SubmitResult | undefined;
  /** Null after a wait without an end. */
  #end: CompletedEnd | null | undefined;

  constructor(deps: WaitDeps, params: ResultWaitParams) {
    const { id, expiresAt, request } = params.pending;
    this.#deps = deps;
    this.#params = params;
    this.id = id;
    this.waitMs = Math.min((request.prefer.waitS ?? 0) * 1000, Math.max(1, expiresAt - sharedNow() + 1));
    this.signal = request.signal;
  }

  start(): void {
    this.#waiter = this.#deps.completions.register(this);
    this.#deps.submitter.put(this.#params.pending, this.#params.item, this);
  }

  /** The submission succeeded. */
  onResult(submitted: SubmitResult): void {
    this.#submitted = submitted;
    endSubmission(this.#params.pending);
    this.#allowResubmit();
    this.#settle();
  }

  /** The submission failed. */
  onError(error: unknown): void {
    const { pending, reject } = this.#params;
    endSubmission(pending, error);
    if (this.#waiter) this.#deps.completions.forget(this.#waiter);
    reject(withdraw(this.#deps, { pending, error: storeError('Redis', error) }));
  }

  /** The prediction ended, or the wait ended without a result. */
  onCompleted(end: CompletedEnd | null): void {
    this.#end = end;
    if (end?.startedAt)
      this.#deps.loads.observeRun(this.#params.pending.served.registered.model, end.completedAt - end.startedAt);
    this.#settle();
  }

  #settle(): void {
    if (this.#submitted === undefined || this.#end === undefined) return;
    const { pending, item, resolve } = this.#params;
    const submitted = this.#submitted;
    if (this.#end) {
      const record = withEnd(predictionOf(pending), this.#end);
      resolve(completedOutcome(this.#deps, { pending, submitted, record }));
    } else resolve(endWithoutResult(this.#deps, { pending, item, submitted }));
  }

  /** Redis may lose the prediction while only this caller knows the prediction. One resubmission runs at a time. */
  #allowResubmit(): void {
    if (this.#waiter) this.#waiter.resubmitter = this;
  }

  resubmit(): void {
    if (this.#waiter) this.#waiter.resubmitter = undefined;
    const { pending, item } = this.#params;
    // The state may be gone because no worker could read the slots.
    if (pending.slots?.some(isCacheSlot)) this.#deps.cacheSlots.lost();
    const inRedis = pending.wholeTask ? storedTask(pending.wholeTask(), true) : item.task;
    const again = { ...item, task: inRedis, resubmittedAt: sharedNow() };
    const allow = () => this.#allowResubmit();
    this.#deps.submitter.put(pending, again, { onResult: allow, onError: allow });
  }
}

interface UnfinishedParams {
  pending: PendingPrediction;
  item: NewPrediction;
  submitted: SubmitResult;
}

/** The wait ended before the prediction: the prediction has expired, is canceled, or is promised. */
async function endWithoutResult(deps: WaitDeps, params: UnfinishedParams): Promise<Outcome> {
  const { pending, item, submitted } = params;
  const { signal, tenant, idempotencyKey, body, ledgerless } = pending.request;
  const cancel = () =>
    void deps.live.end(pending.id, { tenant, status: 'canceled', nowMs: sharedNow() }).catch(() => {});
  if (!signal.aborted && sharedNow() >= pending.expiresAt) {
    // The look-up ends an overdue prediction as expired.
    const found = await deps.lookup.find(tenant, pending.id);
    if (found && isTerminal(found.record.status))
      return completedOutcome(deps, { pending, submitted, record: found.record });
  }
  if (signal.aborted && idempotencyKey === undefined && body.webhook === undefined) {
    cancel();
    return { kind: 'disconnected' };
  }
  if (ledgerless) cancel();
  else await commitPromise(deps, pending, item);
  return acceptedOutcome(deps, { pending, submitted });
}
