/** Converts failures of Redis and Postgres to errors that name the next step for a caller. */

import { BatcherFull } from '@millrace/shared/batching/batcher';
import { ApiError } from '@millrace/shared/errors';
import { isDataFault } from '@millrace/shared/postgres/error-code';
import { isReadOnly } from '@millrace/shared/postgres/read-only';
import { codeOf, refusalForCallers } from '@millrace/shared/redis/redis-fault';

/** Redis itself has no room, and admission, which measures the memory, has not read it since. */
const FULL_RETRY_S = 10;

/** The write may have succeeded. A retry must use the same id. */
export class WriteOutcomeUnknown extends ApiError {
  override name = 'WriteOutcomeUnknown';

  static of(error: unknown): unknown {
    if (!(error instanceof ApiError) || error.code !== 'store_unavailable') return error;
    const detail =
      'A store did not respond in time, so the prediction may exist: repeat the request with the same Idempotency-Key.';
    return new WriteOutcomeUnknown(error.code, detail, { retryAfterS: 1, cause: error.cause });
  }
}

/** Awaits a call to a store. Converts every failure to `store_unavailable`, with the cause for the log. */
export async function fromStore<T>(name: 'Redis' | 'Postgres', call: Promise<T>): Promise<T> {
  try {
    return await call;
  } catch (error) {
    throw storeError(name, error);
  }
}

/** Converts a failure of a store to the error for the caller. */
export function storeError(name: 'Redis' | 'Postgres', cause: unknown): ApiError {
  if (cause instanceof ApiError) return cause;
  if (name === 'Redis' && codeOf(cause) === 'OOM')
    return new ApiError('queue_full', "The queue's memory is full; nothing was accepted.", {
      retryAfterS: FULL_RETRY_S,
      cause,
    });
  if (name === 'Postgres' && isDataFault(cause)) return unstorable(cause);
  const refusal = name === 'Redis' ? refusalForCallers(cause) : postgresRefusal(cause);
  const detail = `${refusal ?? `${name} does not respond`}; nothing was accepted.`;
  return new ApiError('store_unavailable', detail, { retryAfterS: 1, cause });
}

/** The values of the request are the cause, not the store: a repeated request would fail too. */
const unstorable = (cause: unknown): ApiError =>
  new ApiError(
    'invalid_request',
    'The request has a value that Postgres cannot store. Remove characters such as NUL.',
    {
      cause,
    },
  );

const postgresRefusal = (cause: unknown): string | undefined =>
  isReadOnly(cause) ? 'Postgres takes no writes now' : undefined;

/** The error of a request that is refused without a call to Redis. `refusal` is the last error of Redis, if any. */
export function redisAway(refusal: Error | undefined): ApiError {
  return storeError('Redis', refusal);
}

/** Awaits the commit of a promise. After a timeout, the outcome of the commit is unknown. */
export async function committed(call: Promise<void>): Promise<void> {
  try {
    await call;
  } catch (error) {
    if (isDataFault(error)) throw unstorable(error);
    const refusal = postgresRefusal(error);
    const more = { retryAfterS: 1, cause: error };
    if (error instanceof BatcherFull || refusal !== undefined) {
      const detail = `${refusal ?? 'Postgres does not respond'}; nothing was accepted.`;
      throw new ApiError('store_unavailable', detail, more);
    }
    const detail =
      'Postgres did not respond in time, so the prediction may exist: get prediction_id, or repeat the request with the same Idempotency-Key.';
    throw new WriteOutcomeUnknown('store_unavailable', detail, more);
  }
}
