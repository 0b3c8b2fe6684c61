/** Waits for results in the cache: the worker writes them beside the first response. */
import { expect } from 'vitest';
import type { Millrace } from './millrace.ts';

/** Resolves when the cache has the result of every row of the body. No row is computed. */
export const untilCached = (millrace: Pick<Millrace, 'predict'>, model: string, body: unknown): Promise<void> =>
  expect
    .poll(async () => (await millrace.predict(model, body, { 'cache-control': 'only-if-cached' })).status, {
      timeout: 30_000,
    })
    .toBe(200);
