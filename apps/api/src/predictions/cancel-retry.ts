/** Cancels a prediction, or runs an ended prediction again under the same id. */

import { ApiError, concerning } from '@millrace/shared/errors';
import type { UndoneEnd } from '@millrace/shared/ledger/ledger';
import type { LedgerRow, TerminalRow } from '@millrace/shared/ledger/ledger-rows';
import { optionsTextOfRow } from '@millrace/shared/ledger/options-text';
import { predictionOfRow, terminalRowOf } from '@millrace/shared/ledger/terminal-row';
import { CANCELED } from '@millrace/shared/live/end-errors';
import type { LiveStore } from '@millrace/shared/live/store';
import { sharedNow } from '@millrace/shared/postgres/clock';
import { promisedTask } from '@millrace/shared/predictions/ledger-task';
import { BULL_PRIORITY, isTerminal, type Status } from '@millrace/shared/predictions/prediction';
import { publicId } from '@millrace/shared/predictions/public-ids';
import type { BytesSupport } from '@millrace/shared/queue/bytes-support';
import { jobIdOf, rowCounts } from '@millrace/shared/queue/job';
import type { Queues } from '@millrace/shared/queue/queues';
import type { SlotReader } from '@millrace/shared/queue/slot-reader';
import type { Logger } from 'pino';
import { fromStore } from '../http/store-errors.ts';
import type { Catalog } from '../models/catalog.ts';
import { admit, type Limits } from '../queue/admission.ts';
import type { QueueLoad } from '../queue/queue-load.ts';
import type { Found, PredictionLookup } from './find-prediction.ts';

export interface ActionsDeps {
  live: LiveStore;
  slotReader: SlotReader;
  bytesSupport: Pick<BytesSupport, 'isSupported'>;
  queues: Queues;
  lookup: PredictionLookup;
  loads: QueueLoad;
  catalog: Catalog;
  limits: Limits;
  findInLedger(tenant: string, id: string): Promise<LedgerRow | null>;
  /** Ends a row of the ledger that Redis does not have. */
  endInLedger(row: LedgerRow, outcome: { status: 'canceled'; result: string; completedAt: number }): Promise<boolean>;
  /** Writes an end with its webhook deliveries, unless the ledger has the end. */
  recordEnd(row: TerminalRow): Promise<void>;
  /** Starts the next opening of a row. Resolves to undefined when another retry was first. */
  reopenInLedger(end: UndoneEnd): Promise<LedgerRow | undefined>;
  /** Throws ApiError while the clock of this process is wrong. */
  checkClock(): void;
  /** Throws ApiError while the queue Redis takes no writes. */
  checkRedis(): void;
  log: Logger;
}

export interface Actions {
  /** Cancels an open prediction. A canceled prediction stays unchanged. Throws `prediction_terminal` for every other end. */
  cancel(tenant: string, id: string): Promise<Found>;
  /**
   * Promises a new opening, as a 202 does. Throws `prediction_not_terminal` for a prediction that is open or that succeeded. `again`: the
   * caller repeats a retry whose outcome is unknown, so an open prediction is the expected outcome.
   */
  retry(tenant: string, id: string, again: boolean): Promise<Found>;
}

/** A row with the task, which a new opening needs. */
interface OpenedRow extends LedgerRow {
  task: string;
}

export const createActions = (deps: ActionsDeps): Actions => ({
  cancel: (tenant, id) => named(id, cancel(deps, tenant, id)),
  retry: (tenant, id, again) => named(id, again ? retryAgain(deps, tenant, id) : retry(deps, tenant, id)),
});

/** Names the prediction in every error of its action. */
async function named(id: string, action: Promise<Found>): Promise<Found> {
  try {
    return await action;
  } catch (error) {
    if (error instanceof ApiError && error.code === 'prediction_not_found') throw error;
    throw concerning(error, publicId('pred', id));
  }
}

async function cancel(deps: ActionsDeps, tenant: string, id: string): Promise<Found> {
  const { live, lookup } = deps;
  // Throws 404 for an unknown id, and ends an overdue prediction as expired.
  const found = await lookup.get(tenant, id);
  if (found.record.status === 'canceled') return found;
  if (isTerminal(found.record.status)) throw notCancelable(found.record.status);
  const end = () => fromStore('Redis', live.end(id, { tenant, status: 'canceled', nowMs: sharedNow() }));
  let outcome = await end();
  if (outcome.outcome === 'gone') {
    // Redis lost the prediction, and the reconciler may restore the state at any moment. So the ledger's row ends first, then
    // a restored state.
    const row = await fromStore('Postgres', deps.findInLedger(tenant, id));
    const ended = { status: 'canceled', result: CANCELED, completedAt: sharedNow() } as const;
    if (row) await fromStore('Postgres', deps.endInLedger(row, ended));
    outcome = await end();
  }
  if (outcome.outcome === 'terminal' && outcome.status !== 'canceled') throw notCancelable(outcome.status);
  return lookup.get(tenant, id);
}

async function retryAgain(deps: ActionsDeps, tenant: string, id: string): Promise<Found> {
  try {
    return await retry(deps, tenant, id);
  } catch (error) {
    if (!(error instanceof ApiError && error.code === 'prediction_not_terminal')) throw error;
    const found = await deps.lookup.get(tenant, id);
    if (isTerminal(found.record.status) && found.record.opening === 0) throw error;
    return found;
  }
}

async function retry(deps: ActionsDeps, tenant: string, id: string): Promise<Found> {
  const { lookup } = deps;
  deps.checkClock();
  const { record } = await lookup.get(tenant, id);
  if (!isTerminal(record.status) || record.status === 'succeeded') throw notRetryable(record.status);
  const served = await deps.catalog.serving(tenant, record.model, record.version);
  deps.checkRedis();
  const row = await reopen(deps, tenant, id);
  try {
    await enqueue(deps, row, served.version.digest);
  } catch (error) {
    if (error instanceof ApiError) throw error;
    // The promise is valid: the ledger has the new opening, and the reconciler submits the prediction.
    deps.log.warn({ err: error, id }, 'Redis did not take a retry: the reconciler will submit the prediction');
    return { record: predictionOfRow(row), queue: undefined };
  }
  return lookup.get(tenant, id);
}

/**
 * Writes the new opening to Redis. As for every promise, the ledger comes first. Throws `prediction_not_terminal` for an end that cannot
 * be retried.
 */
async function enqueue({ live, queues, bytesSupport }: ActionsDeps, row: OpenedRow, digest: string): Promise<void> {
  const { id, tenant, model, version, opening, expiresAt, priority } = row;
  const nowMs = sharedNow();
  const job = jobIdOf(id, nowMs);
  const opened = await live.retry({ id, tenant, job, opening, expiresAt, nowMs });
  if (opened.outcome === 'refused') throw notRetryable(opened.status);
  const add = () =>
    queues.add({
      model,
      version,
      ids: [id],
      priority: BULL_PRIORITY[priority],
      jobId: job,
      rows: rowCounts([row]),
    });
  if (opened.outcome === 'queued') await add();
  if (opened.outcome === 'gone') {
    const { rows: _, ...kept } = row;
    const task = promisedTask(row.task, bytesSupport.isSupported);
    const item = { ...kept, task, options: optionsTextOfRow(row), flight: null, known: null };
    await Promise.all([live.submit({ model, version, digest }, { priority, job, nowMs }, [item]), add()]);
  }
}

/** Starts the next opening in the ledger. Throws `prediction_not_terminal` when another retry was first, and the errors of admission. */
async function reopen(deps: ActionsDeps, tenant: string, id: string): Promise<OpenedRow> {
  const { live, loads, limits } = deps;
  const state = await fromStore('Redis', live.readWhole(id));
  const find = () => fromStore('Postgres', deps.findInLedger(tenant, id));
  let row = await find();
  // The recorder may not have recorded this end. After the retry the ledger would refuse the end, or would take the end as
  // the end of the new opening.
  const isRecorded = row !== null && isTerminal(row.status) && row.opening === state?.opening;
  if (state && isTerminal(state.status) && !isRecorded) {
    const whole = { ...state, task: await deps.slotReader.whole(state.task) };
    await fromStore('Postgres', deps.recordEnd(terminalRowOf(whole)));
    row = await find();
  }
  if (row?.status === 'succeeded') throw notRetryable(row.status);
  if (!row || row.task === null)
    throw new ApiError(
      'prediction_not_terminal',
      'The input of this prediction is no longer stored, so the prediction cannot run again. Send a new request.',
    );
  const now = sharedNow();
  const verdict = admit(loads.current(row.model, now), { limits, priority: row.priority, expiresInMs: null });
  if (!verdict.admitted) throw new ApiError(verdict.code, verdict.detail, { retryAfterS: verdict.retryAfterS });
  loads.admitted(row.model);
  // The row is open after an earlier retry that was not written to Redis: this retry completes the earlier retry.
  const halfDone = !isTerminal(row.status) && state !== null && state.opening < row.opening;
  const again = isTerminal(row.status)
    ? await fromStore('Postgres', deps.reopenInLedger({ tenant, id, opening: row.opening, nowMs: now }))
    : row;
  if (!again || !(isTerminal(row.status) || halfDone)) throw notRetryable('queued');
  return { ...again, task: row.task };
}

const notCancelable = (status: Status): ApiError =>
  new ApiError('prediction_terminal', `A prediction that is ${status} cannot be canceled.`);
const notRetryable = (status: Status): ApiError =>
  new ApiError('prediction_not_terminal', `A prediction that is ${status} cannot be retried.`);
