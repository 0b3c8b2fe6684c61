/** What a caller may do to a prediction that is there: cancel it, or run it again under its id. */

import { ApiError, problem } from '@millrace/shared/errors';
import { jobIdOf } from '@millrace/shared/job';
import type { LedgerRow, PromiseRow } from '@millrace/shared/ledger-rows';
import type { LivePrediction, LiveStore } from '@millrace/shared/live/store';
import { sharedNow } from '@millrace/shared/postgres/clock';
import { BULL_PRIORITY, isTerminal, type Priority, type Status } from '@millrace/shared/prediction';
import type { Queues } from '@millrace/shared/queues';
import { admit, type Limits } from './admission.ts';
import type { Catalog } from './catalog.ts';
import type { Finder, Found } from './finder.ts';
import type { LoadWatch } from './load.ts';
import { fromStore } from './stores.ts';

export interface ActionsMeans {
  live: LiveStore;
  queues: Queues;
  finder: Finder;
  loads: LoadWatch;
  catalog: Catalog;
  limits: Limits;
  findInLedger(tenant: string, id: string): Promise<LedgerRow | null>;
  /** Ends a row of the ledger that Redis does not know. */
  endInLedger(row: LedgerRow, outcome: { status: 'canceled'; result: string; completedAt: number }): Promise<boolean>;
  /** Opens a terminal row again; undefined where there is none. */
  reopenInLedger(tenant: string, id: string, expiresAt: number | null): Promise<LedgerRow | undefined>;
  /** Throws ApiError while this process may accept nothing. */
  checkClock(): void;
  /** Commits a promise; one that is there stays as it is. */
  promise(row: PromiseRow): Promise<void>;
}

export interface Actions {
  /** Throws `conflict` for one that ended otherwise; to cancel twice is the same as once. */
  cancel(tenant: string, id: string): Promise<Found>;
  /** Throws `conflict` for one that is under way or succeeded. What it resolves to is promised, as by a 202. */
  retry(tenant: string, id: string): Promise<Found>;
}

const CANCELED = JSON.stringify(problem('canceled', 'It was canceled on request.'));
const PRIORITY_OF = new Map(Object.entries(BULL_PRIORITY).map(([name, number]) => [number, name as Priority]));

/** What a retry needs to know, from Redis or from the ledger. */
interface Again extends PromiseRow {
  attempts: number;
}

export function createActions(means: ActionsMeans): Actions {
  const { live, queues, finder, loads, catalog, limits } = means;

  async function cancel(tenant: string, id: string): Promise<Found> {
    // Says 404 for ids that are none, and ends what is overdue as expired.
    const found = await finder.get(tenant, id);
    if (found.record.status === 'canceled') return found;
    if (isTerminal(found.record.status)) throw notInState('canceled', found.record.status);
    const end = () => fromStore('Redis', live.end(id, tenant, 'canceled', sharedNow()));
    let outcome = await end();
    if (outcome.outcome === 'gone') {
      // Redis lost it. The reconciler may bring it back at this moment: so its row ends first, then what came back.
      const row = await fromStore('Postgres', means.findInLedger(tenant, id));
      const ended = { status: 'canceled', result: CANCELED, completedAt: sharedNow() } as const;
      if (row) await fromStore('Postgres', means.endInLedger(row, ended));
      outcome = await end();
    }
    if (outcome.outcome === 'terminal' && outcome.status !== 'canceled') throw notInState('canceled', outcome.status);
    return finder.get(tenant, id);
  }

  async function retry(tenant: string, id: string): Promise<Found> {
    means.checkClock();
    const { record } = await finder.get(tenant, id);
    if (!isTerminal(record.status) || record.status === 'succeeded') throw notInState('retried', record.status);
    const served = await catalog.serving(tenant, record.model, record.version);
    const now = sharedNow();
    const again = await whatToRun(tenant, id);
    const verdict = admit(loads.current(record.model, now), limits, again.priority, null);
    if (!verdict.admitted) throw new ApiError(verdict.code, verdict.detail, { retryAfterS: verdict.retryAfterS });
    // As long as it was given the first time.
    const expiresAt = again.expiresAt === null ? null : now + Math.max(1, again.expiresAt - again.createdAt);

    // The ledger first, as with every promise: whatever becomes of Redis, the reconciler finds it there.
    const reopened = await fromStore('Postgres', means.reopenInLedger(tenant, id, expiresAt));
    if (!reopened) await fromStore('Postgres', means.promise({ ...again, expiresAt }));
    const job = jobIdOf(id, now);
    const opened = await fromStore('Redis', live.retry(id, tenant, job, expiresAt, now));
    if (opened.outcome === 'refused') throw notInState('retried', opened.status);
    const add = () => queues.add(record.model, record.version, [id], BULL_PRIORITY[again.priority], job);
    if (opened.outcome === 'queued') await fromStore('Redis', add());
    if (opened.outcome === 'gone') {
      const target = { model: record.model, version: record.version, digest: served.version.digest };
      const item = {
        ...again,
        expiresAt,
        options: optionsText(again),
        flight: null,
        known: null,
      };
      await fromStore('Redis', Promise.all([live.submit(target, again.priority, job, [item], now), add()]));
    }
    return finder.get(tenant, id);
  }

  async function whatToRun(tenant: string, id: string): Promise<Again> {
    const [state, task] = await fromStore('Redis', Promise.all([live.read(id), live.task(id)]));
    if (state && task !== null) return fromLive(state, task);
    const row = await fromStore('Postgres', means.findInLedger(tenant, id));
    if (row && row.task !== null) return { ...row, task: row.task };
    throw new ApiError('conflict', 'What it was asked is no longer kept, so it cannot be run again.');
  }

  return { cancel, retry };
}

function fromLive(state: LivePrediction, task: string): Again {
  const { idempotency, ...options } = state.options === '' ? {} : JSON.parse(state.options);
  return {
    ...state,
    task,
    priority: PRIORITY_OF.get(state.priority) ?? 'normal',
    options: options.webhook ? options : null,
    idempotencyHash: idempotency ?? null,
  };
}

function optionsText({ options, idempotencyHash }: PromiseRow): string {
  const all = { ...(options ?? {}), ...(idempotencyHash ? { idempotency: idempotencyHash } : {}) };
  return Object.keys(all).length > 0 ? JSON.stringify(all) : '';
}

const notInState = (done: string, status: Status): ApiError =>
  new ApiError('conflict', `A prediction that is ${status} cannot be ${done}.`);
