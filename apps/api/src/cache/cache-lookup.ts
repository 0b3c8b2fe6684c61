/** Decides whether a stored result is the response to a request. No other file makes this decision. */

import { type CachedResult, encodeResult } from '@millrace/shared/cache/result-value';
import { FLIGHT_LINGERS_MS } from '@millrace/shared/live/store';
import { mayShareResults } from '@millrace/shared/model-files/model-config';
import { sharedNow } from '@millrace/shared/postgres/clock';
import { LongText, type Text } from '@millrace/shared/predictions/long-text';
import type { CacheControl } from '../http/request-headers.ts';
import type { Catalog, ServedModel } from '../models/catalog.ts';
import type { NormalizedInput } from '../models/normalize-input.ts';
import { isFresh, wholeHit } from './cache-status.ts';
import type { LocalResults } from './local-results.ts';
import type { ParsedRequests } from './parsed-requests.ts';

/** A stored prediction that is the response to the request. */
export interface CachedResponse {
  kind: 'cached';
  /** The stored JSON of the prediction that computed the result, as latin1 text or in pieces. */
  text: Text;
  cacheStatus: string;
  /** Null where another tenant may have computed the result: the age would show the time of that computation. */
  ageS: number | null;
  normalized: NormalizedInput;
  digest: string;
}

/** The cache does not have the whole response. */
export interface CachedRows {
  kind: 'rows';
  /** The cached result of each row, null for a row that is not cached. Empty when the request does not read the cache. */
  cached: readonly (CachedResult | null)[];
  /** Whether the request may share a flight, and so the result of a prediction that has just ended. */
  read: boolean;
  /** Whether the cache may store the result. */
  store: boolean;
}

/** The parts of a request that decide about a hit. Every PredictionRequest fits. */
export interface LookUpRequest {
  tenant: string;
  model: string;
  version: string | undefined;
  body: { webhook?: unknown; metadata?: unknown };
  cacheControl: CacheControl;
}

export interface CacheLookupDeps {
  catalog: Pick<Catalog, 'serving'>;
  parsedRequests: ParsedRequests;
  cache: LocalResults;
}

/**
 * Whether the caller needs its own prediction, also when the result is cached. An `Idempotency-Key` needs none: a hit
 * creates no prediction, and so the key has nothing to name.
 */
export const needsOwnPrediction = ({ body }: LookUpRequest): boolean =>
  body.webhook !== undefined || body.metadata !== undefined;

export interface HitParams {
  normalized: NormalizedInput;
  digest: string;
  cacheControl: CacheControl;
  nowMs: number;
}

/**
 * The rule for a cache hit: a fresh stored prediction of one input is the response, for a caller that needs no prediction of
 * its own.
 */
export function cachedResponse(result: CachedResult | null | undefined, params: HitParams): CachedResponse | undefined {
  const { normalized, digest, cacheControl, nowMs } = params;
  if (!result?.body || normalized.shape !== 'one' || normalized.keys.length !== 1) return undefined;
  if (!isFresh(result, cacheControl.maxAgeS, nowMs)) return undefined;
  const text = result.text ?? latin1Of(result.body);
  return { kind: 'cached', text, ...wholeHit(result, normalized, nowMs), normalized, digest };
}

/** A long body stays in pieces. */
const latin1Of = (body: NonNullable<CachedResult['body']>): Text =>
  Buffer.isBuffer(body) ? body.toString('latin1') : new LongText(body.pieces);

/**
 * The shortest path to a response: the text of the request was parsed before, and the result is in this process. Returns
 * undefined whenever a look-up would need I/O or a promise.
 */
export function lookUpLocal(deps: CacheLookupDeps, request: LookUpRequest): CachedResponse | undefined {
  const { tenant, model, version, body, cacheControl } = request;
  if (cacheControl.noCache || cacheControl.noStore || !deps.parsedRequests.knows(body)) return undefined;
  if (needsOwnPrediction(request)) return undefined;
  const served = deps.catalog.serving(tenant, model, version);
  if (served instanceof Promise) {
    // createPrediction reads the catalog again and reports the error. An unhandled rejection would end the process.
    served.catch(() => {});
    return undefined;
  }
  if (!mayShareResults(served.version.config)) return undefined;
  const { digest } = served.version;
  const normalized = deps.parsedRequests.normalizeInput(body, tenant, digest);
  const key = normalized?.own ?? normalized?.keys[0];
  if (normalized === undefined || key === undefined) return undefined;
  const nowMs = sharedNow();
  const result = deps.cache.local(key, served.registered.cacheEpoch, nowMs);
  return result && cachedResponse(result, { normalized, digest, cacheControl, nowMs });
}

export interface LookUpParams {
  request: LookUpRequest;
  served: ServedModel;
  normalized: NormalizedInput;
  /** Whether the normalized input has cache keys: the model and the request allow a stored result. */
  keyed: boolean;
}

export type LookupResult = CachedResponse | CachedRows;

/** Reads the cache for a request, and calls `next`: at once where this process has the result. */
export function lookUpCache<R>(
  { cache }: Pick<CacheLookupDeps, 'cache'>,
  params: LookUpParams,
  next: (found: LookupResult) => R | Promise<R>,
): R | Promise<R> {
  const { request, served, normalized, keyed } = params;
  const { cacheControl } = request;
  const epoch = served.registered.cacheEpoch;
  const { keys, own } = normalized;
  const [key] = keys;
  if (!keyed || cacheControl.noCache) {
    if (keyed) discardResults(cache, normalized, epoch);
    return next({ kind: 'rows', cached: [], read: false, store: keyed });
  }
  const nowMs = sharedNow();
  if (key === undefined || keys.length > 1)
    return cache.getMany(keys, epoch).then((cached) => next(rowsOf(params, cached, nowMs)));
  if (own === undefined)
    return cache.get({ cacheKey: key, epoch, nowMs }, (result) =>
      next(wholeOf(params, result, nowMs) ?? rowsOf(params, [result], nowMs)),
    );
  // A result that tenants share is the prediction of the first caller: another tenant may read only the output.
  return cache.get({ cacheKey: own, epoch, nowMs }, (copy) => {
    const whole = wholeOf(params, copy, nowMs);
    if (whole !== undefined) return next(whole);
    return cache.get({ cacheKey: key, epoch, nowMs }, (result) => next(rowsOf(params, [result], nowMs)));
  });
}

function wholeOf(
  { request, served, normalized }: LookUpParams,
  result: CachedResult | null,
  nowMs: number,
): CachedResponse | undefined {
  if (result === null || needsOwnPrediction(request)) return undefined;
  const { cacheControl } = request;
  return cachedResponse(result, { normalized, digest: served.version.digest, cacheControl, nowMs });
}

function rowsOf({ request, keyed }: LookUpParams, cached: readonly (CachedResult | null)[], nowMs: number): CachedRows {
  const { cacheControl } = request;
  const { maxAgeS } = cacheControl;
  return {
    kind: 'rows',
    cached: cached.map((result) => (result && isFresh(result, maxAgeS, nowMs) ? result : null)),
    read: maySharePast(cacheControl),
    store: keyed,
  };
}

/** A flight stays for a time after its end: a smaller `max-age` allows no result of such a flight. */
const maySharePast = ({ maxAgeS }: CacheControl): boolean => maxAgeS === null || maxAgeS * 1_000 >= FLIGHT_LINGERS_MS;

/** Discards the local results and the tenant's copy: no stored result may outlive the computation that the request demands. */
function discardResults(cache: LocalResults, { keys, own }: NormalizedInput, epoch: number): void {
  for (const key of keys) cache.forget(key);
  if (own === undefined) return;
  cache.forget(own);
  // `put` never rejects.
  const value = encodeResult({ cacheKey: own, storedAt: 0, freshUntil: 0, output: 'null', body: null });
  void cache.put({ cacheKey: own, epoch, value, ttlMs: 1 });
}
