/**
 * Cancels or retries the predictions of a filter, in steps. A step goes through the list of predictions, newest first, and ends
 * after a number of predictions or a time. The cursor of the step continues after the last prediction, so that no prediction is
 * reached twice. Each prediction is changed as a request for this prediction alone would change it. A step that is cut off, also
 * by a kill, leaves whole changes, and a repetition continues with the predictions that still match.
 */
import { ERRORS } from '@millrace/shared/error-table';
import { ApiError } from '@millrace/shared/errors';
import type { Status } from '@millrace/shared/predictions/prediction';
import type { Actions } from './cancel-retry.ts';
import { cursorAfter, type ListFilters, type ListPredictions } from './list-predictions.ts';

/** A step ends after this time, so that no request lasts long. */
const STEP_MS = 5_000;
/** Predictions of one read of the list. */
const PAGE = 100;
/** Predictions that are changed at once. */
const AT_ONCE = 8;

export type Action = 'cancel' | 'retry';

export interface BulkDeps {
  list: ListPredictions;
  actions: Pick<Actions, Action>;
}

export interface BulkStep {
  tenant: string;
  filters: ListFilters;
  limit: number;
  cursor: string | undefined;
}

export interface BulkOutcome {
  /** Predictions that this step reached. */
  matched: number;
  /** Predictions that this step changed. */
  done: number;
  /** The cursor of the next step; null at the end of the list. */
  next: string | null;
}

/** The statuses that an action changes, and the statuses that it changes if the filter has no status. */
const STATUSES: Readonly<Record<Action, { possible: readonly Status[]; usual: readonly Status[] }>> = {
  cancel: { possible: ['queued', 'running'], usual: ['queued', 'running'] },
  // A canceled prediction runs again only if the caller names the status.
  retry: { possible: ['failed', 'expired', 'canceled'], usual: ['failed', 'expired'] },
};

/** Throws `invalid_request` for a status that the action does not change. */
export function statusesFor(action: Action, { statuses }: ListFilters): readonly Status[] {
  const { possible, usual } = STATUSES[action];
  if (statuses === undefined) return usual;
  const wrong = statuses.find((status) => !possible.includes(status));
  if (wrong === undefined) return statuses;
  const expected = `one or several of ${possible.join(', ')}, separated by commas`;
  throw new ApiError('invalid_request', `Invalid /filter/status '${wrong}': expected ${expected}.`, {
    faults: [{ pointer: '/filter/status', message: 'The action does not change this status', expected, got: wrong }],
  });
}

/** Rejects only if the step changed nothing. Later refusals end the step, and the next step meets them first. */
export async function runBulk(deps: BulkDeps, action: Action, step: BulkStep): Promise<BulkOutcome> {
  const { tenant, limit } = step;
  const filters = { ...step.filters, statuses: statusesFor(action, step.filters) };
  const endsAt = performance.now() + STEP_MS;
  const outcome: BulkOutcome = { matched: 0, done: 0, next: step.cursor ?? null };
  const request = { filters, include: { output: false, input: false } };
  do {
    const cursor = outcome.next ?? undefined;
    const page = await deps.list(tenant, { ...request, cursor, limit: Math.min(PAGE, limit - outcome.matched) });
    const ids = page.items.map(({ record }) => record.id);
    const worked = await work(deps, action, { tenant, ids, endsAt });
    outcome.matched += worked.matched;
    outcome.done += worked.done;
    const last = ids[worked.reached - 1];
    if (worked.reached === ids.length) outcome.next = page.next;
    else if (last !== undefined) outcome.next = cursorAfter(tenant, filters, last);
    if (worked.refusal !== undefined) {
      if (outcome.matched === 0) throw worked.refusal;
      return outcome;
    }
  } while (outcome.next !== null && outcome.matched < limit && performance.now() < endsAt);
  return outcome;
}

interface Work {
  tenant: string;
  ids: readonly string[];
  endsAt: number;
}

interface Worked {
  /** The number of the first ids that the next step need not reach again. */
  reached: number;
  matched: number;
  done: number;
  /** The error that ended the work. */
  refusal: unknown;
}

/** Works in the order of the ids, some at once. Ends early at a refusal that concerns every further prediction, and at the time. */
async function work({ actions }: BulkDeps, action: Action, { tenant, ids, endsAt }: Work): Promise<Worked> {
  const worked: Worked = { reached: 0, matched: 0, done: 0, refusal: undefined };
  while (worked.reached < ids.length && (worked.reached === 0 || performance.now() < endsAt)) {
    const some = ids.slice(worked.reached, worked.reached + AT_ONCE);
    const change = (id: string) =>
      action === 'cancel' ? actions.cancel(tenant, id) : actions.retry(tenant, id, false);
    const results = await Promise.allSettled(some.map(change));
    const refused = results.findIndex((result) => result.status === 'rejected' && !concernsOne(result.reason));
    const settled = results.filter((result) => result.status === 'fulfilled' || concernsOne(result.reason));
    worked.matched += settled.length;
    worked.done += settled.filter(({ status }) => status === 'fulfilled').length;
    worked.reached += refused === -1 ? some.length : refused;
    const refusal = results[refused];
    if (refusal?.status === 'rejected') return { ...worked, refusal: refusal.reason };
  }
  return worked;
}

/** Whether the error leaves the other predictions of the filter: this prediction has changed, or its model is out of service. */
const concernsOne = (error: unknown): boolean =>
  error instanceof ApiError && (ERRORS[error.code].status < 429 || error.code === 'model_unavailable');
