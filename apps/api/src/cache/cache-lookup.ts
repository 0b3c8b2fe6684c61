/**
 * The quickest way to an answer: a question whose very text was answered a moment ago, with an answer that lies in this
 * process. Nothing in it waits, so that the request makes no promise on its way. It knows no more than predict.ts does,
 * and says nothing where that must look further.
 */

import { mayShareResults } from '@millrace/shared/model-files/model-config';
import { sharedNow } from '@millrace/shared/postgres/clock';
import type { Text } from '@millrace/shared/predictions/long-text';
import type { CacheControl } from '../http/request-headers.ts';
import type { Catalog } from '../models/catalog.ts';
import type { NormalizedInput } from '../models/normalize-input.ts';
import { fresh, hitTold } from './cache-status.ts';
import type { LocalResults } from './local-results.ts';
import type { ParsedRequests } from './parsed-requests.ts';

/** The stored bytes, as latin1 text or in pieces, of the prediction that computed it; and how it was found. */
export interface CachedAnswer {
  kind: 'cached';
  text: Text;
  cacheStatus: string;
  ageS: number | null;
  plan: NormalizedInput;
  digest: string;
}

export interface KnownDeps {
  catalog: Catalog;
  parsedRequests: ParsedRequests;
  cache: LocalResults;
}

export type KnownAnswer = (
  tenant: string,
  model: string,
  version: string | undefined,
  body: object,
  cacheControl: CacheControl,
) => CachedAnswer | undefined;

/** For requests that bring nothing of their own (webhook, metadata, Idempotency-Key). */
export function createKnownAnswer({ catalog, parsedRequests, cache }: KnownDeps): KnownAnswer {
  return (tenant, model, version, body, cacheControl) => {
    if (cacheControl.noCache || cacheControl.noStore || !parsedRequests.knows(body)) return undefined;
    const served = catalog.serving(tenant, model, version);
    if (served instanceof Promise || !mayShareResults(served.version.config)) return undefined;
    const { digest } = served.version;
    const plan = parsedRequests.normalizeInput(body, tenant, digest);
    if (plan?.shape !== 'one' || plan.keys.length !== 1) return undefined;
    const now = sharedNow();
    const result = cache.near(plan.own ?? (plan.keys[0] as string), served.registered.cacheEpoch, now);
    if (!result?.text || !fresh(result, cacheControl.maxAgeS, now)) return undefined;
    return { kind: 'cached', text: result.text, ...hitTold(result, plan.own, now), plan, digest };
  };
}
