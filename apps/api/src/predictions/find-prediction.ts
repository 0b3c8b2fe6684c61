/** Finds predictions: in Redis while they live, in the ledger for as long as it keeps them. */

import { ApiError } from '@millrace/shared/errors';
import type { TasklessRow } from '@millrace/shared/ledger/ledger-rows';
import type { LivePrediction, LiveStore } from '@millrace/shared/live/store';
import { sharedNow } from '@millrace/shared/postgres/clock';
import { isPredictionId } from '@millrace/shared/predictions/ids';
import { isTerminal, type PredictionRecord, type QueueEstimate } from '@millrace/shared/predictions/prediction';
import type { DisconnectSignal } from '../http/client-disconnect.ts';
import { aheadOf, estimate } from '../queue/admission.ts';
import type { Answer, CompletionListener } from '../queue/completion-listener.ts';
import type { QueueLoad } from '../queue/queue-load.ts';
import { fromStore } from '../stores/store-errors.ts';

export interface Found {
  record: PredictionRecord;
  /** While it waits. */
  queue: QueueEstimate | undefined;
}

export interface Finder {
  /** Null when there is no such prediction of that tenant. */
  find(tenant: string, id: string): Promise<Found | null>;
  /** As `find`, or throws `prediction_not_found`. */
  get(tenant: string, id: string): Promise<Found>;
  /** Waits up to `waitMs` for a prediction that is not terminal; gives what it then is. */
  await(tenant: string, record: PredictionRecord, waitMs: number, signal: DisconnectSignal): Promise<Found | null>;
  redisReady(): boolean;
}

export interface FinderDeps {
  live: LiveStore;
  loads: QueueLoad;
  completions: CompletionListener;
  findInLedger(tenant: string, id: string): Promise<TasklessRow | null>;
  redisReady(): boolean;
  /** Whether the clock of this process may end what is overdue. */
  isClockRight(): boolean;
}

export function createFinder(deps: FinderDeps): Finder {
  const { live, loads, completions, findInLedger, redisReady, isClockRight } = deps;

  async function find(tenant: string, id: string): Promise<Found | null> {
    if (!isPredictionId(id)) return null;
    let redisError: unknown;
    let state = await live.read(id).catch((error) => {
      redisError = error;
      return null;
    });
    if (state && state.tenant !== tenant) return null;
    if (state && overdue(state) && isClockRight()) {
      await fromStore('Redis', live.end(id, tenant, 'expired', sharedNow()));
      state = await fromStore('Redis', live.read(id));
    }
    if (state) return { record: state, queue: queueOf(state) };
    const row = await fromStore('Postgres', findInLedger(tenant, id));
    // A row that waits while Redis is away is told as it is; one that was never promised may be known to Redis alone.
    if (row === null && redisError !== undefined)
      throw new ApiError('store_unavailable', 'Redis does not answer.', { retryAfterS: 1, cause: redisError });
    return row === null ? null : { record: row, queue: undefined };
  }

  function queueOf(state: LivePrediction): QueueEstimate | undefined {
    if (state.status !== 'queued') return undefined;
    const now = sharedNow();
    const load = loads.current(state.model, now);
    return estimate(state.number === null ? 0 : aheadOf(load.counts, state.priority, state.number), load, now);
  }

  async function get(tenant: string, id: string): Promise<Found> {
    const found = await find(tenant, id);
    if (found) return found;
    throw new ApiError('prediction_not_found', `There is no prediction '${id.slice(0, 64)}'.`);
  }

  return {
    find,
    get,
    redisReady,
    async await(tenant, record, waitMs, signal) {
      if (isTerminal(record.status) || waitMs <= 0) return { record, queue: undefined };
      // Registered before the state is read again, so that an end in between is not missed.
      const untilDeadline = record.expiresAt === null ? waitMs : Math.max(1, record.expiresAt - sharedNow() + 1);
      const { promise, resolve } = Promise.withResolvers<Answer | null>();
      const waiter = completions.tell(record.id, Math.min(waitMs, untilDeadline), signal, resolve);
      waiter.opening = record.opening;
      const now = await find(tenant, record.id);
      if (now && isTerminal(now.record.status)) {
        completions.forget(waiter);
        return now;
      }
      const answer = await promise;
      if (answer) return { record: { ...(now?.record ?? record), ...answer }, queue: undefined };
      return signal.aborted ? null : find(tenant, record.id);
    },
  };
}

const overdue = (state: LivePrediction): boolean =>
  !isTerminal(state.status) && state.expiresAt !== null && state.expiresAt <= sharedNow();
