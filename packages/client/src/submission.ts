/** Creates a prediction with one idempotency key, and cancels the prediction after an abort, also where no id has arrived. */
import { AbortError, ApiError, MillraceError } from './errors.ts';
import { isEnded } from './follow.ts';
import { predictionIn } from './responses.ts';
import { pause } from './timing.ts';
import type { Transport } from './transport.ts';
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
const UNKNOWN_AFTER_LOSS = 8;

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
  const request = { transport, submission, idempotencyKey, onAttempt, signal: connection.signal };
  const response = post(request);
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
  const canceling = sent && cancelOnAbort ? cancelUnknown(transport, idempotencyKey, response) : Promise.resolve(null);
  const canceled = canceling.finally(() => connection.abort());
  throw await abortError(canceled, { idempotencyKey, cause: signal.reason });
}

interface PostParams {
  transport: Transport;
  submission: Submission;
  idempotencyKey: string;
  signal: AbortSignal;
  onAttempt(): void;
}

async function post({ transport, submission, idempotencyKey, signal, onAttempt }: PostParams): Promise<Prediction> {
  const { model, body, waitS } = submission;
  const { version, priority, expiresIn, metadata, webhook, onError, cacheControl, headers } = submission.options;
  const pinned = version === undefined ? '' : `/versions/${encodeURIComponent(version)}`;
  const reply = await transport.send({
    method: 'POST',
    path: `/v1/models/${encodeURIComponent(model)}${pinned}/predictions`,
    body: { ...body, priority, expires_in: expiresIn, metadata, webhook, on_error: onError },
    headers: {
      ...headers,
      'idempotency-key': idempotencyKey,
      ...(waitS > 0 ? { prefer: `wait=${waitS}` } : {}),
      ...(cacheControl === undefined ? {} : { 'cache-control': cacheControl }),
    },
    idempotencyKey,
    signal,
    holdMs: waitS * 1_000,
    onAttempt,
    usefulUntil: expiresIn === undefined ? undefined : Date.now() + expiresIn * 1_000,
  });
  return predictionIn(reply.body, { idempotencyKey });
}

/** The error of an aborted call. The error waits for the cancel, but not for a server that does not respond. */
export async function abortError(
  canceled: Promise<Prediction | null>,
  context: { predictionId?: string; idempotencyKey?: string; cause: unknown },
): Promise<AbortError> {
  const early = await Promise.race([canceled, pause(CANCEL_GRACE_MS)]);
  return new AbortError({ ...context, predictionId: context.predictionId ?? early?.id, canceled });
}

/**
 * Cancels a prediction by its key. The request that creates the prediction can still be on its way, so a server that does not know
 * the key gets the request again. Resolves with null if nothing was accepted. Never rejects.
 */
async function cancelUnknown(
  transport: Transport,
  idempotencyKey: string,
  response: Promise<Prediction>,
): Promise<Prediction | null> {
  let outcome: Prediction | 'refused' | 'lost' | undefined;
  const settled = response.then(
    (prediction) => {
      outcome = prediction;
    },
    (error: unknown) => {
      outcome = isRefusal(error) ? 'refused' : 'lost';
    },
  );
  const call = { path: '/v1/predictions/cancel', body: { idempotency_key: idempotencyKey } };
  let unknown = 0;
  for (const end = Date.now() + CANCEL_LIMIT_MS; Date.now() < end && unknown < UNKNOWN_AFTER_LOSS; ) {
    if (outcome === 'refused') return null;
    if (typeof outcome === 'object') return isEnded(outcome) ? outcome : cancelKnown(transport, outcome.id);
    const canceled = await cancelOnce(transport, call);
    if (typeof canceled === 'object') return canceled;
    if (outcome === 'lost' && canceled === 'unknown') unknown += 1;
    await Promise.race([outcome === undefined ? settled : pause(CANCEL_DELAY_MS), pause(CANCEL_DELAY_MS)]);
  }
  return null;
}

/** Only a response of the server says that the request created nothing. */
const isRefusal = (error: unknown): boolean =>
  error instanceof ApiError && error.problem !== undefined && error.predictionId === undefined;

/** Cancels a prediction by its id. Resolves with the state after the cancel, or with null without a response. Never rejects. */
export async function cancelKnown(transport: Transport, id: string): Promise<Prediction | null> {
  const call = { path: `/v1/predictions/${encodeURIComponent(id)}/cancel`, body: {}, predictionId: id };
  for (const end = Date.now() + CANCEL_LIMIT_MS; Date.now() < end; ) {
    const canceled = await cancelOnce(transport, call);
    if (typeof canceled === 'object') return canceled;
    if (canceled === 'unknown') return null;
    await pause(CANCEL_DELAY_MS);
  }
  return null;
}

/** One attempt. `unknown`: the server does not know the prediction. `again`: another attempt can succeed. */
async function cancelOnce(
  transport: Transport,
  call: { path: string; body: unknown; predictionId?: string },
): Promise<Prediction | null | 'unknown' | 'again'> {
  const options = { maxRetries: 0, timeoutMs: CANCEL_ATTEMPT_MS };
  try {
    const { body } = await transport.send({ ...call, ...options, method: 'POST', keepalive: true });
    return predictionIn(body, {});
  } catch (error) {
    if (!(error instanceof MillraceError)) return null;
    if (error.code === 'prediction_not_found') return 'unknown';
    if (error.code !== 'prediction_terminal') return error.retryable ? 'again' : null;
    const id = error.predictionId;
    return id === undefined ? null : stateOf(transport, id).catch(() => null);
  }
}

async function stateOf(transport: Transport, id: string): Promise<Prediction> {
  const { body } = await transport.send({ method: 'GET', path: `/v1/predictions/${encodeURIComponent(id)}` });
  return predictionIn(body, { predictionId: id });
}
