/** What a caller may do to a prediction that is there: cancel it, or run it again under its id. */

import { ApiError, problem } from '@millrace/shared/errors';
import type { UndoneEnd } from '@millrace/shared/ledger/ledger';
import type { LedgerRow, TerminalRow } from '@millrace/shared/ledger/ledger-rows';
import { optionsText } from '@millrace/shared/ledger/options-text';
import { terminalRowOf } from '@millrace/shared/ledger/terminal-row';
import type { LiveStore } from '@millrace/shared/live/store';
import { sharedNow } from '@millrace/shared/postgres/clock';
import { BULL_PRIORITY, isTerminal, type Status } from '@millrace/shared/predictions/prediction';
import { jobIdOf, rowCounts } from '@millrace/shared/queue/job';
import type { Queues } from '@millrace/shared/queue/queues';
import type { Logger } from 'pino';
import type { Catalog } from '../models/catalog.ts';
import { admit, type Limits } from '../queue/admission.ts';
import type { QueueLoad } from '../queue/queue-load.ts';
import { fromStore, redisAway } from '../stores/store-errors.ts';
import type { Finder, Found } from './find-prediction.ts';

export interface ActionsDeps {
  live: LiveStore;
  queues: Queues;
  finder: Finder;
  loads: QueueLoad;
  catalog: Catalog;
  limits: Limits;
  findInLedger(tenant: string, id: string): Promise<LedgerRow | null>;
  /** Ends a row of the ledger that Redis does not know. */
  endInLedger(row: LedgerRow, outcome: { status: 'canceled'; result: string; completedAt: number }): Promise<boolean>;
  /** Writes an end, with what follows from it, unless the ledger has the end. */
  recordEnd(row: TerminalRow): Promise<void>;
  /** Opens a row again whose `opening` has ended; undefined where another retry was first. */
  reopenInLedger(end: UndoneEnd): Promise<LedgerRow | undefined>;
  /** Throws ApiError while this process may accept nothing. */
  checkClock(): void;
  /** What the queue Redis answers to writes while it refuses them. */
  redisRefusal(): Error | undefined;
  log: Logger;
}

export interface Actions {
  /** Throws `conflict` for one that ended otherwise; to cancel twice is the same as once. */
  cancel(tenant: string, id: string): Promise<Found>;
  /** Throws `conflict` for one that is under way or succeeded. What it resolves to is promised, as by a 202. */
  retry(tenant: string, id: string): Promise<Found>;
}

const CANCELED = JSON.stringify(problem('canceled', 'The prediction was canceled on request.'));
/** A row that can be run again. */
interface OpenedRow extends LedgerRow {
  task: string;
}

export function createActions(deps: ActionsDeps): Actions {
  const { live, queues, finder, loads, catalog, limits } = deps;

  async function cancel(tenant: string, id: string): Promise<Found> {
    // Says 404 for ids that are none, and ends what is overdue as expired.
    const found = await finder.get(tenant, id);
    if (found.record.status === 'canceled') return found;
    if (isTerminal(found.record.status)) throw notInState('canceled', found.record.status);
    const end = () => fromStore('Redis', live.end(id, tenant, 'canceled', sharedNow()));
    let outcome = await end();
    if (outcome.outcome === 'gone') {
      // Redis lost it. The reconciler may bring it back at this moment: so its row ends first, then what came back.
      const row = await fromStore('Postgres', deps.findInLedger(tenant, id));
      const ended = { status: 'canceled', result: CANCELED, completedAt: sharedNow() } as const;
      if (row) await fromStore('Postgres', deps.endInLedger(row, ended));
      outcome = await end();
    }
    if (outcome.outcome === 'terminal' && outcome.status !== 'canceled') throw notInState('canceled', outcome.status);
    return finder.get(tenant, id);
  }

  async function retry(tenant: string, id: string): Promise<Found> {
    deps.checkClock();
    const { record } = await finder.get(tenant, id);
    if (!isTerminal(record.status) || record.status === 'succeeded') throw notInState('retried', record.status);
    const served = await catalog.serving(tenant, record.model, record.version);
    if (!finder.redisReady()) throw redisAway(deps.redisRefusal());
    const row = await reopened(tenant, id);
    try {
      await enqueue(row, served.version.digest);
    } catch (error) {
      if (error instanceof ApiError) throw error;
      // The promise stands: the ledger has the new opening, and the reconciler brings it to Redis.
      deps.log.warn({ err: error, id }, 'Redis did not take a retry: the reconciler brings it');
      return { record: row, queue: undefined };
    }
    return finder.get(tenant, id);
  }

  /** Tells Redis of a new opening, after the ledger, as with every promise. Throws `conflict` for an end that stays. */
  async function enqueue(row: OpenedRow, digest: string): Promise<void> {
    const { id, tenant, model, version, opening, expiresAt, priority } = row;
    const nowMs = sharedNow();
    const job = jobIdOf(id, nowMs);
    const opened = await live.retry({ id, tenant, job, opening, expiresAt, nowMs });
    if (opened.outcome === 'refused') throw notInState('retried', opened.status);
    const add = () =>
      queues.add({
        model,
        version,
        ids: [id],
        priority: BULL_PRIORITY[priority],
        jobId: job,
        rows: rowCounts([row.task]),
      });
    if (opened.outcome === 'queued') await add();
    if (opened.outcome === 'gone') {
      const item = { ...row, options: optionsText(row), flight: null, known: null };
      await Promise.all([live.submit({ model, version, digest }, priority, job, [item], nowMs), add()]);
    }
  }

  /** The row of the ledger, opened again. Throws `conflict` where another retry was first, and what admission throws. */
  async function reopened(tenant: string, id: string): Promise<OpenedRow> {
    const state = await fromStore('Redis', live.readWhole(id));
    // The recorder may be late. Recorded after the retry, this end would be refused; recorded instead of the new one, the
    // ledger would have ended what this retry promises.
    if (state && isTerminal(state.status)) await fromStore('Postgres', deps.recordEnd(terminalRowOf(state)));
    const row = await fromStore('Postgres', deps.findInLedger(tenant, id));
    if (row?.status === 'succeeded') throw notInState('retried', row.status);
    if (!row || row.task === null)
      throw new ApiError('conflict', 'What it was asked is no longer kept, so it cannot be run again.');
    const now = sharedNow();
    const verdict = admit(loads.current(row.model, now), { limits, priority: row.priority, expiresInMs: null });
    if (!verdict.admitted) throw new ApiError(verdict.code, verdict.detail, { retryAfterS: verdict.retryAfterS });
    loads.admitted(row.model);
    // Open already, by a retry that was not written to Redis: this call completes it.
    const halfDone = !isTerminal(row.status) && state !== null && state.opening < row.opening;
    const again = isTerminal(row.status)
      ? await fromStore('Postgres', deps.reopenInLedger({ tenant, id, opening: row.opening, nowMs: now }))
      : row;
    if (!again || !(isTerminal(row.status) || halfDone)) throw notInState('retried', 'queued');
    return { ...again, task: row.task };
  }

  return { cancel, retry };
}

const notInState = (done: string, status: Status): ApiError =>
  new ApiError('conflict', `A prediction that is ${status} cannot be ${done}.`);
