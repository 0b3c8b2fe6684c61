/** Waits for results in the cache: the worker writes them beside the first response. */
import { expect } from 'vitest';
import type { ApiResponse, Millrace } from './millrace.ts';

/**
 * Resolves to the first hit, when the cache has the result of every row of the body. No row is computed. The history counts this hit,
 * and none of the refused requests before.
 */
export async function untilCached(
  millrace: Pick<Millrace, 'predict'>,
  model: string,
  body: unknown,
): Promise<ApiResponse> {
  let response: ApiResponse | undefined;
  const look = async () => {
    response = await millrace.predict(model, body, { 'cache-control': 'only-if-cached' });
    return response.status;
  };
  await expect.poll(look, { timeout: 30_000 }).toBe(200);
  return response as ApiResponse;
}
