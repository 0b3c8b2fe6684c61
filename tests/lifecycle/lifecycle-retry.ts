/**
 * A retry in steps through both stores, as in cancel-retry.ts. Between the steps, another process can act, or all
 * processes can stop.
 */

import { isTerminal } from '../../packages/shared/src/predictions/prediction.ts';
import { type End, endOf, type Lives, retry, type Surroundings, submit } from './lifecycle.ts';
import type { Fence, Ledger } from './lifecycle-ledger.ts';

export interface RetryDeps {
  fence: Fence;
  lives(): Lives;
  ledger: Ledger;
  around: Surroundings;
  newJob(ids: string[]): string;
  dropJob(job: string): void;
  /** The caller has received 202: this opening is promised. */
  accepted(id: string, opening: number): void;
}

/** The time that the first request of every prediction had. */
export const ALLOWANCE_MS = 1_000;

/** The steps of one retry, one for each call of `next`. */
export type RetryInProgress = Iterator<undefined, void>;

export function startRetry(deps: RetryDeps, id: string): RetryInProgress {
  return deps.fence === 'openings' ? numbered(deps, id) : unnumbered(deps, id);
}

function* numbered({ lives, ledger, around, ...deps }: RetryDeps, id: string): RetryInProgress {
  const life = lives().lives.get(id);
  const end: End | null = life ? endOf(id, life) : null;
  yield;
  if (end) ledger.record(end);
  yield;
  const row = ledger.rows.get(id);
  const { opening = 0, status = 'succeeded' } = row ?? {};
  if (status === 'succeeded' || (!isTerminal(status) && !(life && life.opening < opening))) return;
  yield;
  if (isTerminal(status) && !ledger.reopen(id, opening, around.now + ALLOWANCE_MS)) return;
  yield;
  writeToRedis({ lives, ledger, around, ...deps }, id, isTerminal(status) ? opening + 1 : opening);
}

/** The steps of 0.1.0. The opening is still counted, for the checks. */
function* unnumbered({ lives, ledger, around, ...deps }: RetryDeps, id: string): RetryInProgress {
  yield;
  const row = ledger.rows.get(id);
  if (row && isTerminal(row.status)) ledger.reopen(id, row.opening, around.now + ALLOWANCE_MS);
  else ledger.promise(id, around.now + ALLOWANCE_MS);
  yield;
  const last = lives().lives.get(id);
  writeToRedis({ lives, ledger, around, ...deps }, id, (last?.opening ?? 0) + 1);
}

function writeToRedis(deps: RetryDeps, id: string, opening: number): void {
  const { lives, ledger, around, newJob, dropJob } = deps;
  const job = newJob([id]);
  const expiresAt = ledger.rows.get(id)?.expiresAt ?? null;
  const outcome = retry(lives(), id, { opening, job, expiresAt });
  const attempts = ledger.rows.get(id)?.attempts ?? 0;
  if (outcome === 'gone') submit(lives(), { id, flight: null, expiresAt, job, attempts, opening }, around);
  else if (outcome !== 'queued') dropJob(job);
  if (outcome !== 'refused') deps.accepted(id, opening);
}
