/** Counts the requests for predictions in the history: accepted predictions, hits, misses and refusals. */
import { ERRORS } from '@millrace/shared/error-table';
import { ApiError } from '@millrace/shared/errors';
import { sharedNow } from '@millrace/shared/postgres/clock';
import { ALL, type StatsCounts } from '@millrace/shared/stats/stats-counts';
import type { CachedResponse, LookUpRequest } from '../cache/cache-lookup.ts';
import type { CreatePrediction } from './create-prediction.ts';
import type { Outcome } from './outcome.ts';
import type { PredictionRequest } from './prediction-request.ts';

/** Refusals because of load or of a store, which say nothing about the request. */
const REFUSALS = new Set([429, 503]);

/** Receives the end of a creation: exactly one of the two methods is called, once, possibly before the creation returns. Neither method may throw. */
export interface CreationListener {
  onOutcome(outcome: Outcome): void;
  onError(error: unknown): void;
}

export type StartCreation = (request: PredictionRequest, listener: CreationListener) => void;

/** Counts each creation. Without a promise of its own: a promise for each waiting request costs time in each garbage collection. */
export function countCreated(create: CreatePrediction, counts: StatsCounts): StartCreation {
  return (request, listener) => {
    const succeed = (outcome: Outcome): void => {
      countOutcome(counts, request, outcome);
      listener.onOutcome(outcome);
    };
    const fail = (error: unknown): void => {
      countRefusal(counts, request, error);
      listener.onError(error);
    };
    let outcome: Outcome | Promise<Outcome>;
    try {
      outcome = create(request);
    } catch (error) {
      return fail(error);
    }
    if (outcome instanceof Promise) outcome.then(succeed, fail);
    else succeed(outcome);
  };
}

/** The same creation with a promise. */
export const promiseOf =
  (start: StartCreation): CreatePrediction =>
  (request) =>
    new Promise((onOutcome, onError) => start(request, { onOutcome, onError }));

type LookUpLocal = (request: LookUpRequest) => CachedResponse | undefined;

export function countHits(lookUpLocal: LookUpLocal, counts: StatsCounts): LookUpLocal {
  return (request) => {
    const cached = lookUpLocal(request);
    if (cached !== undefined) counts.count(request, 'hits', sharedNow());
    return cached;
  };
}

/** A hit creates no prediction, unless the caller needs its own prediction. A caller that left had its prediction accepted. */
function countOutcome(counts: StatsCounts, request: PredictionRequest, outcome: Outcome): void {
  const nowMs = sharedNow();
  const isHit = outcome.kind !== 'disconnected' && outcome.cacheStatus.startsWith('millrace; hit');
  counts.count(request, isHit ? 'hits' : 'misses', nowMs);
  if (outcome.kind !== 'cached') counts.count(request, 'accepted', nowMs);
}

function countRefusal(counts: StatsCounts, request: PredictionRequest, error: unknown): void {
  if (!(error instanceof ApiError) || !REFUSALS.has(ERRORS[error.code].status)) return;
  // Before the registry has the model, its name is any text of the caller, and must not become a series.
  const { tenant, model, isModelKnown = false } = request;
  counts.count({ tenant, model: isModelKnown ? model : ALL }, 'refused', sharedNow());
}
