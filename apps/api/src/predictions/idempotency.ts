/** Under an idempotency key: the first request goes ahead, the others get its prediction. */
import { ApiError } from '@millrace/shared/errors';
import { fromStore, WriteOutcomeUnknown } from '../stores/store-errors.ts';
import type { Finder, Found } from './find-prediction.ts';
import { fingerprintOf, hashOfKey, type Idempotency } from './idempotency-claims.ts';
import type { Outcome } from './outcome.ts';
import type { PendingPrediction } from './prediction-request.ts';

/** How long a request with another's idempotency key looks for that one's prediction before it says so or takes over. */
const CLAIM_PATIENCE_MS = 2_000;
/** A first request that has shown nothing for this long has died half way: its calls to the stores have ended long before. */
const CLAIM_DEAD_MS = 3_000;
const CLAIM_POLL_MS = 20;

/** `begin` makes the prediction of an ask; `follow` answers it with the prediction that its key stands for. */
export type Once = (
  pending: PendingPrediction,
  key: string,
  begin: (pending: PendingPrediction) => Promise<Outcome>,
  follow: (pending: PendingPrediction, found: Found) => Promise<Outcome>,
) => Promise<Outcome>;

export function createOnce({ idempotency, finder }: { idempotency: Idempotency; finder: Finder }): Once {
  return async function once(asked, key, begin, follow) {
    const { tenant, model, version, body } = asked.request;
    const fingerprint = fingerprintOf(model, version, body);
    // The ledger then knows the same request again, should Redis lose the key.
    const pending = { ...asked, options: { ...asked.options, idempotency: hashOfKey(key, fingerprint) } };
    const claim = await fromStore('Redis', idempotency.claim(tenant, key, fingerprint, pending.id, pending.createdAt));
    if (claim.kind === 'taken') {
      if (!claim.same)
        throw new ApiError('idempotency_mismatch', 'This Idempotency-Key was used with another request.', {
          faults: [
            {
              pointer: 'Idempotency-Key',
              message: 'used with another request',
              expected: 'a key of its own',
              got: key,
            },
          ],
        });
      const deadline = performance.now() + CLAIM_PATIENCE_MS;
      while (performance.now() < deadline && !pending.request.signal.aborted) {
        const found = await finder.find(tenant, claim.id);
        if (found) return follow(pending, found);
        if (claim.ageMs > CLAIM_DEAD_MS) break;
        await new Promise((resolve) => setTimeout(resolve, CLAIM_POLL_MS));
      }
      if (claim.ageMs <= CLAIM_DEAD_MS)
        throw new ApiError(
          'idempotency_in_progress',
          'The first request with this Idempotency-Key has not got so far.',
          {
            retryAfterS: 1,
          },
        );
      // The first has died before its prediction was written: this one goes on under the id that was claimed.
      return begin({ ...pending, id: claim.id });
    }
    try {
      return await begin(pending);
    } catch (error) {
      // Kept for whoever repeats the request: a promise that was committed late is found under it, and is the only one.
      if (error instanceof WriteOutcomeUnknown) throw error;
      const released = idempotency.release(tenant, key, pending.id).catch(() => {});
      // A Redis that has just not answered is not waited for a second time.
      if (!(error instanceof ApiError && error.code === 'store_unavailable')) await released;
      throw error;
    }
  };
}
