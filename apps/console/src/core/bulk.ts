/** Actions on all items of a filter: how many items the filter has, and the steps of the action until its end. */
import { ApiProblem, call, get } from './api.ts';
import type { BulkStep } from './operator-types.ts';
import type { List } from './types.ts';

/** More items are not counted: a count of the whole ledger would take as long as the action. */
export const COUNT_MAX = 10_000;
const PAGE = 100;
/** A filter that the ledger searches can have many pages without items. */
const PAGES_MAX = 150;
/** The most items of one step. The server ends a step after some seconds, too. */
const STEP_MAX = 1_000;
/** How long the action waits where the server takes no more at present. */
const PAUSE_MS = 2_000;

export type Filter = Readonly<Record<string, string>>;

export interface Counted {
  count: number;
  /** The number of items of each status. */
  statuses: Readonly<Record<string, number>>;
  /** False while the count goes on, and where there are more items. */
  whole: boolean;
  ended: boolean;
}

export interface CountRequest {
  path: string;
  /** Each query selects one list, such as the predictions of one status. */
  queries: readonly Filter[];
  signal: AbortSignal;
  /** Called after each page. */
  progress: (counted: Counted) => void;
}

/** Counts the items of lists, up to a limit. */
export async function countItems({ path, queries, signal, progress }: CountRequest): Promise<void> {
  const statuses: Record<string, number> = {};
  let count = 0;
  let pages = 0;
  let whole = true;
  for (const query of queries) {
    let cursor: string | null | undefined;
    while (cursor !== null && count < COUNT_MAX && pages < PAGES_MAX) {
      const list: List<{ status: string }> = await get(path, { ...query, limit: PAGE, cursor }, signal);
      for (const { status } of list.data) statuses[status] = (statuses[status] ?? 0) + 1;
      count += list.data.length;
      pages += 1;
      cursor = list.next;
      progress({ count, statuses: { ...statuses }, whole: false, ended: false });
    }
    whole &&= cursor === null;
  }
  progress({ count, statuses, whole, ended: true });
}

/** Where a run stopped: a later run of the same filter continues there. */
export interface Place {
  cursor: string | null;
  /** The number of the step, which names the step in its idempotency key. */
  step: number;
}

export interface BulkRun {
  /** Distinguishes the action from every other action. */
  id: string;
  path: string;
  filter: Filter;
  from: Place;
  signal: AbortSignal;
  /** Called after each step with the next place, and with `waits` where the server takes no more at present. */
  progress: (step: BulkStep, place: Place, waits: boolean) => void;
}

/** Runs the steps until the last one. Rejects where the server refuses, and the caller can continue from the last place. */
export async function runBulk({ id, path, filter, from, signal, progress }: BulkRun): Promise<void> {
  let place = from;
  do {
    const { cursor, step } = place;
    const body = { filter, limit: STEP_MAX, ...(cursor === null ? {} : { cursor }) };
    // A repetition of a step whose response was lost has the same key, so the step has no second effect.
    const headers = { 'idempotency-key': `"${id}-${step}"` };
    const onWait = () => progress(NOTHING(cursor), place, true);
    const outcome = await once({ path, body, headers, signal, onWait });
    place = { cursor: outcome.next, step: step + 1 };
    progress(outcome, place, false);
  } while (place.cursor !== null && !signal.aborted);
}

const NOTHING = (next: string | null): BulkStep => ({ matched: 0, done: 0, next });

interface StepCall {
  path: string;
  body: unknown;
  headers: Readonly<Record<string, string>>;
  signal: AbortSignal;
  onWait: () => void;
}

async function once({ path, body, headers, signal, onWait }: StepCall): Promise<BulkStep> {
  for (;;) {
    try {
      return (await call<BulkStep>(path, { method: 'POST', body, headers, signal })).body;
    } catch (error) {
      if (!(error instanceof ApiProblem) || error.status !== 429 || signal.aborted) throw error;
      onWait();
      await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
    }
  }
}

/** A page without https has no `crypto.randomUUID`. */
export const randomKey = (): string =>
  [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, '0')).join('');
