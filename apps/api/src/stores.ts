/** Turns the failures of Redis and Postgres into the one error that a caller can do something about. */
import { ApiError } from '@millrace/shared/errors';

/** Awaits a call to a store; whatever it throws becomes `store_unavailable`, with the cause for the log. */
export async function fromStore<T>(name: 'Redis' | 'Postgres', call: Promise<T>): Promise<T> {
  try {
    return await call;
  } catch (error) {
    if (error instanceof ApiError) throw error;
    throw new ApiError('store_unavailable', `${name} does not answer; nothing was accepted.`, {
      retryAfterS: 1,
      cause: error,
    });
  }
}
