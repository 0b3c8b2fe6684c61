/**
 * Copies of results that all tenants of a public model share. The shared result of another tenant shows its output alone, so
 * that a tenant's first hit makes a prediction of the tenant's own. That prediction is kept as the tenant's copy, and
 * answers the tenant's next hits as stored bytes.
 */

import { type CachedResult, encodeResult } from '@millrace/shared/cache/result-cache';
import { type PredictionRecord, renderPrediction } from '@millrace/shared/predictions/prediction';
import type { LocalResults } from '../cache/local-results.ts';
import { bringsItsOwn, type PendingPrediction } from './prediction-request.ts';

/** Whether the prediction of a hit is kept: not where it has metadata, a webhook or a key, which are its caller's own. */
export const isCopied = ({ plan, request, served }: PendingPrediction): boolean =>
  served.version.config.cache.scope === 'public' &&
  plan.shape === 'one' &&
  plan.keys.length === 1 &&
  !bringsItsOwn(request);

export interface KeepCopyParams {
  cache: LocalResults;
  pending: PendingPrediction;
  /** Terminal. */
  record: PredictionRecord;
  /** The shared result: the copy is as old, and as long of use. */
  hit: CachedResult;
  nowMs: number;
}

/** Never rejects. A copy that cannot be written costs the next hit a prediction of its own. */
export function keepCopy({ cache, pending, record, hit, nowMs }: KeepCopyParams): Promise<void> {
  const { plan, served } = pending;
  const key = plan.own ?? (plan.keys[0] as string);
  const body = renderPrediction({ ...record, expiresAt: null, metadata: '' });
  const value = encodeResult(key, hit.storedAt, hit.freshUntil, record.result, body);
  return cache.put(key, served.registered.cacheEpoch, value, hit.freshUntil - nowMs);
}

/** Never rejects. The copy must not outlive a computation that was asked for afresh. */
export function removeCopy(cache: LocalResults, key: string, epoch: number): Promise<void> {
  cache.forget(key);
  return cache.put(key, epoch, encodeResult(key, 0, 0, 'null', null), 1);
}
