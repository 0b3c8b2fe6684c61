/** Counts the requests for predictions in the history: accepted predictions, hits, misses and refusals. */
import { ERRORS } from '@millrace/shared/error-table';
import { ApiError } from '@millrace/shared/errors';
import { sharedNow } from '@millrace/shared/postgres/clock';
import { ALL, type StatsCounts } from '@millrace/shared/stats/stats-counts';
import type { CreatePrediction } from './create-prediction.ts';
import type { CreateRoutes } from './create-routes.ts';
import type { Outcome } from './outcome.ts';
import type { PredictionRequest } from './prediction-request.ts';

/** Refusals because of load or of a store, which say nothing about the request. */
const REFUSALS = new Set([429, 503]);

export function countCreated(create: CreatePrediction, counts: StatsCounts): CreatePrediction {
  const refuse = (request: PredictionRequest, error: unknown): never => {
    countRefusal(counts, request, error);
    throw error;
  };
  const count = (request: PredictionRequest, outcome: Outcome): Outcome => {
    countOutcome(counts, request, outcome);
    return outcome;
  };
  return (request) => {
    let outcome: Outcome | Promise<Outcome>;
    try {
      outcome = create(request);
    } catch (error) {
      return refuse(request, error);
    }
    if (!(outcome instanceof Promise)) return count(request, outcome);
    return outcome.then(
      (found) => count(request, found),
      (error: unknown) => refuse(request, error),
    );
  };
}

export function countHits(lookUpLocal: CreateRoutes['lookUpLocal'], counts: StatsCounts): CreateRoutes['lookUpLocal'] {
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
