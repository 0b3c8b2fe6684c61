/**
 * Copies of cached results whose prediction the caller must not see: a prediction of another tenant, with metadata or a webhook, or with
 * several rows. Such a result is only an output, so the tenant's first hit creates a new prediction. The new prediction is stored as the
 * tenant's copy, and is the response to the tenant's next hits.
 */

import { type CachedResult, encodeResult } from '@millrace/shared/cache/result-value';
import { type Prediction, renderPrediction } from '@millrace/shared/predictions/prediction';
import { needsOwnPrediction } from '../cache/cache-lookup.ts';
import type { LocalResults } from '../cache/local-results.ts';
import type { PendingPrediction } from './prediction-request.ts';

/** Whether the prediction of a hit is stored. A prediction with metadata or a webhook belongs to one caller. */
export const isCopied = ({ normalized, request }: PendingPrediction): boolean =>
  normalized.shape === 'one' && normalized.keys.length === 1 && !needsOwnPrediction(request);

export interface KeepCopyParams {
  pending: PendingPrediction;
  /** Terminal. */
  record: Prediction;
  /** The shared result. The copy has its time of storage and its expiry. */
  hit: CachedResult;
  nowMs: number;
}

/** Stores the copy. Never rejects: after a failed write, the next hit creates another prediction. */
export function keepCopy(
  { cache, base }: { cache: LocalResults; base: string },
  { pending, record, hit, nowMs }: KeepCopyParams,
): Promise<void> {
  const { normalized, served } = pending;
  const key = normalized.own ?? normalized.keys[0];
  if (key === undefined) return Promise.resolve();
  const body = renderPrediction(record, base);
  const { storedAt, freshUntil } = hit;
  const value = encodeResult({ cacheKey: key, storedAt, freshUntil, output: record.result, body });
  return cache.put({ cacheKey: key, epoch: served.registered.cacheEpoch, value, ttlMs: freshUntil - nowMs });
}
