/** Creates a prediction with one idempotency key, and cancels the prediction after an abort, also where no id has arrived. */
import { AbortError, ApiError, MillraceError } from './errors.ts';
import { isEnded } from './follow.ts';
import { pathOf, predictionIn } from './responses.ts';
import { pause } from './timing.ts';
import type { Call, Transport } from './transport.ts';
import type { Prediction, SubmitManyOptions } from './types.ts';

export interface Submission {
  model: string;
  body: { input: unknown } | { inputs: readonly unknown[] };
  options: SubmitManyOptions;
  /** The time for which the server holds its response, in seconds; 0 for none. */
  waitS: number;
}

/** How long an aborted call waits for the cancel before the call rejects. */
const CANCEL_GRACE_MS = 1_000;
/** How long the client tries to cancel. */
const CANCEL_LIMIT_MS = 30_000;
const CANCEL_ATTEMPT_MS = 10_000;
const CANCEL_DELAY_MS = 250;
/** A request whose connection broke can still be in the server, before the server stores the key. */
const REFUSALS_AFTER_LOSS = 8;

/** A key of 128 random bits. `crypto.randomUUID` does not exist on pages without https. */
export function newKey(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
}

/** Resolves with the accepted or ended prediction. Rejects with an AbortError after an abort, when the cancel has been sent. */
export async function create(transport: Transport, submission: Submission): Promise<Prediction> {
  const { signal, cancelOnAbort = true, idempotencyKey = newKey() } = submission.options;
  if (signal?.aborted) throw new AbortError({ idempotencyKey, cause: signal.reason });
  const connection = new AbortController();
  let sent = false;
  const onAttempt = () => {
    // A connection that breaks after the abort is not opened again: the new request would create the prediction.
    if (signal?.aborted) throw new AbortError({ idempotencyKey, cause: signal.reason });
    sent = true;
  };
  const call = { ...requestOf(submission, idempotencyKey), onAttempt, signal: connection.signal };
  const response = transport.send(call).then(({ body }) => predictionIn(body, { idempotencyKey }));
  if (!signal) return response;
  let onAbort = () => {};
  const aborted = new Promise<'aborted'>((resolve) => {
    onAbort = () => resolve('aborted');
    signal.addEventListener('abort', onAbort, { once: true });
  });
  try {
    const first = await Promise.race([response, aborted]);
    if (first !== 'aborted') return first;
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
  response.catch(() => {});
  const target = { key: idempotencyKey, response };
  const canceling = sent && cancelOnAbort ? cancel(transport, target) : Promise.resolve(null);
  const canceled = canceling.finally(() => connection.abort());
  throw await abortError(canceled, { idempotencyKey, cause: signal.reason });
}

function requestOf({ model, body, waitS, options }: Submission, idempotencyKey: string): Call {
  const { version, priority, expiresIn, metadata, webhook, onError, cacheControl, headers } = options;
  const pinned = version === undefined ? '' : `/versions/${encodeURIComponent(version)}`;
  return {
    method: 'POST',
    path: `/v1/models/${encodeURIComponent(model)}${pinned}/predictions`,
    body: { ...body, priority, expires_in: expiresIn, metadata, webhook, on_error: onError },
    headers: {
      'cache-control': cacheControl,
      prefer: waitS > 0 ? `wait=${waitS}` : undefined,
      ...headers,
      'idempotency-key': idempotencyKey,
    },
    idempotencyKey,
    holdMs: waitS * 1_000,
    usefulUntil: expiresIn === undefined ? undefined : Date.now() + expiresIn * 1_000,
  };
}

/** The error of an aborted call. The error waits for the cancel, but not for a server that does not respond. */
export async function abortError(
  canceled: Promise<Prediction | null>,
  context: { predictionId?: string; idempotencyKey?: string; cause: unknown },
): Promise<AbortError> {
  const error = new AbortError({ ...context, canceled });
  // The cancel by key is the first to know the id, and can end after the call.
  const named = canceled.then((prediction) => prediction && Object.assign(error, { predictionId: prediction.id }));
  await Promise.race([named, pause(CANCEL_GRACE_MS)]);
  return error;
}

/** The prediction to cancel: its id, or the key and the response of the request that creates the prediction. */
export interface CancelTarget {
  id?: string;
  key?: string;
  response?: Promise<Prediction>;
}

/**
 * Cancels a prediction. The request that creates the prediction can still be on its way, so a server that does not know the key gets
 * the request again. Resolves with the canceled prediction, or with null if nothing was canceled. Never rejects.
 */
export async function cancel(transport: Transport, { id, key, response }: CancelTarget): Promise<Prediction | null> {
  let created: Prediction | undefined;
  let isOpen = response !== undefined;
  let refusals = id === undefined ? REFUSALS_AFTER_LOSS : 1;
  response?.then(
    (prediction) => {
      created = prediction;
      [isOpen, refusals] = [false, 1];
    },
    (error: unknown) => {
      isOpen = false;
      // Only a response of the server says that the request created nothing.
      if (error instanceof ApiError && error.problem && error.predictionId === undefined) refusals = 0;
    },
  );
  for (const end = Date.now() + CANCEL_LIMIT_MS; Date.now() < end && refusals > 0; await pause(CANCEL_DELAY_MS)) {
    if (created && isEnded(created)) return created;
    try {
      return await cancelOnce(transport, id ?? created?.id, key);
    } catch (error) {
      if (!(error instanceof MillraceError)) return null;
      if (!isOpen && !error.retryable) refusals -= 1;
    }
  }
  return null;
}

async function cancelOnce(transport: Transport, id: string | undefined, key: string | undefined): Promise<Prediction> {
  const { body } = await transport.send({
    method: 'POST',
    path: id === undefined ? '/v1/predictions/cancel' : pathOf(id, '/cancel'),
    body: id === undefined ? { idempotency_key: key } : {},
    maxRetries: 0,
    timeoutMs: CANCEL_ATTEMPT_MS,
    keepalive: true,
  });
  return predictionIn(body, {});
}
