/** Turns the failures of Redis and Postgres into the one error that a caller can do something about. */

import { BatcherFull } from '@millrace/shared/batching/batcher';
import { ApiError } from '@millrace/shared/errors';
import { isReadOnly } from '@millrace/shared/postgres/read-only';
import { codeOf, refusalForCallers } from '@millrace/shared/redis/redis-fault';

/** The call may have worked all the same: whoever tries again must do so under the same id. */
export class WriteOutcomeUnknown extends ApiError {
  override name = 'WriteOutcomeUnknown';

  static of(error: unknown): unknown {
    if (!(error instanceof ApiError) || error.code !== 'store_unavailable') return error;
    const detail = 'A store did not answer in time: repeat the request with the same Idempotency-Key.';
    return new WriteOutcomeUnknown(error.code, detail, { retryAfterS: 1, cause: error.cause });
  }
}

/** Awaits a call to a store; whatever it throws becomes `store_unavailable`, with the cause for the log. */
export async function fromStore<T>(name: 'Redis' | 'Postgres', call: Promise<T>): Promise<T> {
  try {
    return await call;
  } catch (error) {
    throw storeError(name, error);
  }
}

/** What a caller is told of a failed call to a store. */
export function storeError(name: 'Redis' | 'Postgres', cause: unknown): ApiError {
  if (cause instanceof ApiError) return cause;
  if (name === 'Redis' && codeOf(cause) === 'OOM')
    return new ApiError('queue_full', "The queue's memory is full; nothing was accepted.", { retryAfterS: 1, cause });
  const refusal = name === 'Redis' ? refusalForCallers(cause) : postgresRefusal(cause);
  const detail = `${refusal ?? `${name} does not answer`}; nothing was accepted.`;
  return new ApiError('store_unavailable', detail, { retryAfterS: 1, cause });
}

const postgresRefusal = (cause: unknown): string | undefined =>
  isReadOnly(cause) ? 'Postgres takes no writes now' : undefined;

/** For a request that is refused before Redis is asked; `refusal` is what Redis last answered, where it did. */
export function redisAway(refusal: Error | undefined): ApiError {
  return storeError('Redis', refusal);
}

/** As `fromStore` for the commit of a promise: a time-out tells only that its answer did not come. */
export async function committed(call: Promise<void>): Promise<void> {
  try {
    await call;
  } catch (error) {
    const Kind = error instanceof BatcherFull ? ApiError : WriteOutcomeUnknown;
    const detail = `${postgresRefusal(error) ?? 'Postgres does not answer'}; nothing was promised.`;
    throw new Kind('store_unavailable', detail, { retryAfterS: 1, cause: error });
  }
}
