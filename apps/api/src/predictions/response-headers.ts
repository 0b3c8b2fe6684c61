/** The values of the headers of prediction responses. */

import { sharedNow } from '@millrace/shared/postgres/clock';
import type { PredictionRecord, QueueEstimate } from '@millrace/shared/predictions/prediction';
import { publicId } from '@millrace/shared/predictions/public-ids';
import { type Prefer, WAIT_MAX_S } from '../http/request-headers.ts';

/** The header with the status of the prediction, so that a client recognizes a failed prediction without reading the body. */
export const STATUS_HEADER = 'millrace-prediction-status';

/** `base` is the public URL without a final slash, or ''. `id` is the public id. */
export const locationOf = (base: string, id: string): string => `${base}/v1/predictions/${id}`;

/** Seconds until the estimated completion, from 1 to 60; 1 without an estimate. */
export function retryAfterOf(queue: QueueEstimate | undefined): string {
  const seconds = queue ? Math.ceil((queue.estimatedCompletionAt - sharedNow()) / 1000) : 1;
  return String(Math.max(1, Math.min(seconds, 60)));
}

/** The `Preference-Applied` of a request with `Prefer`; undefined for a request without a preference. */
export function appliedPreference(prefer: Prefer): string | undefined {
  if (prefer.respondAsync) return prefer.waitS === null ? 'respond-async' : `respond-async, wait=${prefer.waitS}`;
  return prefer.waitS === null ? undefined : `wait=${Math.min(prefer.waitS, WAIT_MAX_S)}`;
}

/**
 * The ETag of a terminal prediction. The ETag contains the opening, because a prediction that is canceled, retried and canceled again has two
 * ends with the same number of attempts. `form` names a form of the JSON with further members, which needs its own ETag.
 */
export function etagOf({ id: uuid, status, attempts, opening }: PredictionRecord, form?: string): string {
  const id = publicId('pred', uuid);
  const suffix = form === undefined ? '' : `.${form}`;
  if (status === 'succeeded') return `"${id}${suffix}"`;
  const tries = opening === 0 ? `${attempts}` : `${opening}-${attempts}`;
  return `"${id}.${tries}.${status}${suffix}"`;
}
