/**
 * Copies of results that all tenants of a public model share. A tenant sees only the output of another tenant's prediction, so
 * a tenant's first hit creates a new prediction. The prediction is stored as the tenant's copy, and the copy is the response to
 * the tenant's next hits.
 */

import { type CachedResult, encodeResult } from '@millrace/shared/cache/result-value';
import { type PredictionRecord, renderPrediction } from '@millrace/shared/predictions/prediction';
import { needsOwnPrediction } from '../cache/cache-lookup.ts';
import type { LocalResults } from '../cache/local-results.ts';
import type { PendingPrediction } from './prediction-request.ts';

/**
 * Whether the prediction of a hit is stored. A prediction with metadata, a webhook or an idempotency key belongs to one caller.
 */
export const isCopied = ({ normalized, request, served }: PendingPrediction): boolean =>
  served.version.config.cache.scope === 'public' &&
  normalized.shape === 'one' &&
  normalized.keys.length === 1 &&
  !needsOwnPrediction(request);

export interface KeepCopyParams {
  cache: LocalResults;
  pending: PendingPrediction;
  /** Terminal. */
  record: PredictionRecord;
  /** The shared result. The copy has its time of storage and its expiry. */
  hit: CachedResult;
  nowMs: number;
}

/** Stores the copy. Never rejects: after a failed write, the next hit creates another prediction. */
export function keepCopy({ cache, pending, record, hit, nowMs }: KeepCopyParams): Promise<void> {
  const { normalized, served } = pending;
  const key = normalized.own ?? normalized.keys[0];
  if (key === undefined) return Promise.resolve();
  const body = renderPrediction({ ...record, expiresAt: null, metadata: '' });
  const { storedAt, freshUntil } = hit;
  const value = encodeResult({ cacheKey: key, storedAt, freshUntil, output: record.result, body });
  return cache.put({ cacheKey: key, epoch: served.registered.cacheEpoch, value, ttlMs: freshUntil - nowMs });
}
