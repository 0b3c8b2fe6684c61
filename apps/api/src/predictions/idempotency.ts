/**
 * Runs a request with an idempotency key: the first request starts a prediction, and a duplicate request follows the
 * prediction.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { ApiError } from '@millrace/shared/errors';
import { sharedNow } from '@millrace/shared/postgres/clock';
import { publicId } from '@millrace/shared/predictions/public-ids';
import type { DisconnectSignal } from '../http/client-disconnect.ts';
import { fromStore, WriteOutcomeUnknown } from '../http/store-errors.ts';
import type { Found, PredictionLookup } from './find-prediction.ts';
import { type Claim, hashOfKey, type Idempotency } from './idempotency-claims.ts';
import type { Outcome } from './outcome.ts';
import type { PendingPrediction } from './prediction-request.ts';
import { fingerprintOf } from './request-fingerprint.ts';

/**
 * Finds the prediction that a key names, for example to cancel a prediction whose 202 was lost. Throws `prediction_not_found`
 * for a key that names none, and `idempotency_in_progress` while the request with the key is in progress.
 */
export async function findByKey(deps: OnceDeps, { tenant, key }: { tenant: string; key: string }): Promise<Found> {
  const claim = await fromStore('Redis', deps.idempotency.find(tenant, key, sharedNow()));
  const found = claim && (await untilWritten(deps, { tenant, claim, signal: undefined }));
  if (found) return found;
  if (claim && claim.ageMs <= CLAIM_DEAD_MS) throw inProgress(claim.id);
  const detail = 'No prediction of the last 24 hours was created with this Idempotency-Key.';
  throw new ApiError('prediction_not_found', detail);
}

/** How long a duplicate request waits for the original's prediction before the API responds with 409 or takes over. */
const CLAIM_WAIT_MS = 2_000;
/** An original request without a prediction after this time has failed: its calls to the stores timed out long before. */
const CLAIM_DEAD_MS = 3_000;
const CLAIM_POLL_MS = 20;

export interface OnceDeps {
  idempotency: Idempotency;
  lookup: Pick<PredictionLookup, 'find'>;
}

export interface OnceParams {
  pending: PendingPrediction;
  key: string;
  /** Creates the prediction. */
  start(pending: PendingPrediction): Promise<Outcome>;
  /** Returns the prediction that the original request created. */
  follow(pending: PendingPrediction, original: Found): Promise<Outcome>;
}

export async function runOnce(deps: OnceDeps, params: OnceParams): Promise<Outcome> {
  const { key, start } = params;
  const { tenant, model, version, body } = params.pending.request;
  const fingerprint = await fingerprintOf(model, version, body);
  // The ledger stores the hash, so that a repeated request is recognized after Redis loses the key.
  const options = { ...params.pending.options, idempotency: hashOfKey(key, fingerprint) };
  const pending = { ...params.pending, options };
  const { id, createdAt } = pending;
  const claim = await fromStore('Redis', deps.idempotency.claim({ tenant, key, fingerprint, id, nowMs: createdAt }));
  if (claim.kind === 'taken') return followClaim(deps, { ...params, pending, claim });
  try {
    return await start(pending);
  } catch (error) {
    // The key stays claimed: a promise that was committed late is the only prediction, and a repeated request finds the
    // promise.
    if (error instanceof WriteOutcomeUnknown) throw error;
    const released = deps.idempotency.release(tenant, key, id).catch(() => {});
    // After a call that failed, Redis may not respond: the request does not wait for a second timeout.
    if (!(error instanceof ApiError && error.code === 'store_unavailable')) await released;
    throw error;
  }
}

interface FollowClaimParams extends OnceParams {
  claim: Extract<Claim, { kind: 'taken' }>;
}

async function followClaim(
  deps: OnceDeps,
  { pending, key, claim, start, follow }: FollowClaimParams,
): Promise<Outcome> {
  if (!claim.same) throw keyMismatch(key, claim.id);
  const { tenant, signal } = pending.request;
  const original = await untilWritten(deps, { tenant, claim, signal });
  if (original) return asReplayed(await follow(pending, original));
  // The original request failed before its prediction was written: this request continues under the claimed id.
  if (claim.ageMs > CLAIM_DEAD_MS) return start({ ...pending, id: claim.id });
  throw inProgress(claim.id);
}

const asReplayed = (outcome: Outcome): Outcome =>
  outcome.kind === 'completed' || outcome.kind === 'accepted' ? { ...outcome, replayed: true } : outcome;

interface Claimed {
  tenant: string;
  claim: Pick<Extract<Claim, { kind: 'taken' }>, 'id' | 'ageMs'>;
  signal: DisconnectSignal | undefined;
}

/** Returns the prediction of a claim, which its request may still write. Returns undefined after CLAIM_WAIT_MS. */
async function untilWritten({ lookup }: OnceDeps, { tenant, claim, signal }: Claimed): Promise<Found | undefined> {
  const deadline = performance.now() + CLAIM_WAIT_MS;
  while (performance.now() < deadline && !signal?.aborted) {
    const found = await lookup.find(tenant, claim.id);
    if (found) return found;
    if (claim.ageMs > CLAIM_DEAD_MS) return undefined;
    await delay(CLAIM_POLL_MS);
  }
  return undefined;
}

/** The error of a duplicate request while the API can neither follow nor repeat the original request. */
export function inProgress(id: string): ApiError {
  const detail = 'The first request with this Idempotency-Key is still in progress. Send the request again later.';
  return new ApiError('idempotency_in_progress', detail, { retryAfterS: 1, predictionId: publicId('pred', id) });
}

const keyMismatch = (key: string, id: string): ApiError =>
  new ApiError('idempotency_mismatch', 'This Idempotency-Key was used with another request. Send a new key.', {
    faults: [
      {
        in: 'header',
        pointer: 'Idempotency-Key',
        message: 'used with another request',
        expected: 'a new key',
        got: key,
      },
    ],
    predictionId: publicId('pred', id),
  });
