/** Tests outputs that together exceed the queue Redis: accepted work is kept, and new work finds room again. */

import { shardOf } from '@millrace/shared/predictions/ids';
import type { Redis } from 'ioredis';
import { expect, test, vi } from 'vitest';
import type { Millrace } from '../support/millrace.ts';
import { rawId } from '../support/raw-id.ts';
import { PREDICTIONS, useSmallQueue } from '../support/small-queue.ts';

let millrace: Millrace;
let redis: Redis;

useSmallQueue((queue) => {
  ({ redis, millrace } = queue);
});

/** Resolves to an accepted prediction when there is room again. */
const accepted = (x: number) =>
  vi.waitUntil(
    async () => {
      const response = await millrace.predict('large', { input: { x: [[x]] } }, { prefer: 'respond-async' });
      return response.status === 202 && response;
    },
    { timeout: 60_000, interval: 100 },
  );

test('60 predictions of 2 MB in 60 MB all succeed', { timeout: 180_000 }, async () => {
  const ids: string[] = [];
  for (let at = 0; at < PREDICTIONS; at += 1) {
    const { status, body } = await millrace.predict(
      'large',
      { input: { x: [[0.1 + at / 1_000_000]] } },
      { prefer: 'respond-async' },
    );
    // A refused request is not lost: the client repeats the request.
    if (status === 202) ids.push(body.id);
    else {
      expect([status, body.code]).toEqual([429, 'queue_full']);
      at -= 1;
    }
  }
  for (const id of ids)
    await expect
      .poll(async () => (await fetch(`${millrace.url}/v1/predictions/${id}?wait=5`)).json(), { timeout: 120_000 })
      .toMatchObject({ status: 'succeeded', attempt: 1 });
  const used = Number(/^used_memory:(\d+)/m.exec(await redis.info('memory'))?.[1]);
  expect(used).toBeLessThan(62 * 1_048_576);
});

test('a prediction can be canceled while Redis has no memory left', async () => {
  await millrace.stopWorkers('stop');
  const { body } = await accepted(0.7);
  await redis.config('SET', 'maxmemory', '1mb');
  const canceled = await millrace.request(`/v1/predictions/${body.id}/cancel`, { method: 'POST' });
  expect([canceled.status, canceled.body.status]).toEqual([200, 'canceled']);
  const refused = await millrace.predict('large', { input: { x: [[0.8]] } }, { prefer: 'wait=5' });
  expect([refused.status, refused.body.code]).toEqual([429, 'queue_full']);
  expect(refused.body.detail).toContain('memory');
  await redis.config('SET', 'maxmemory', '60mb');
});

/**
 * Fills Redis between the admission of a retry and its job. The API reads the memory of Redis every half second, so a read can fall
 * between the two commands. The retry is then refused, and Redis gets room again for the next try.
 */
async function retryWithoutMemory(id: string) {
  await redis.config('SET', 'maxmemory', '60mb');
  await accepted(0.3 + Math.random() / 1_000);
  await redis.config('SET', 'maxmemory', '1mb');
  const retried = await millrace.request(`/v1/predictions/${id}/retry`, { method: 'POST' });
  if (retried.status !== 202) expect([retried.status, retried.body.code]).toEqual([429, 'queue_full']);
  return retried.status === 202 && retried;
}

test('a retry without memory in Redis for its job is still a promise and is kept', {
  timeout: 180_000,
}, async () => {
  const { body } = await accepted(0.812345678);
  await millrace.request(`/v1/predictions/${body.id}/cancel`, { method: 'POST' });
  const retried = await vi.waitUntil(() => retryWithoutMemory(body.id), { timeout: 60_000 });
  expect(retried.body.status).toBe('queued');
  expect(await redis.keys(`*:q:large:p-${rawId(body.id)}-*`)).toEqual([]);
  await redis.config('SET', 'maxmemory', '60mb');
  await millrace.startWorker();
  await expect
    .poll(async () => (await fetch(`${millrace.url}/v1/predictions/${body.id}?wait=5`)).json(), { timeout: 120_000 })
    .toMatchObject({ status: 'succeeded' });
});

test('after a worker has measured an output, only work with room for its outputs is accepted', {
  timeout: 180_000,
}, async () => {
  await expect
    .poll(() => millrace.predict('large', { input: { x: [[0.912345678]] } }, { prefer: 'wait=20' }), {
      timeout: 60_000,
    })
    .toMatchObject({ status: 200 });
  await expect.poll(() => redis.hget(millrace.keys.outputSizes(shardOf('large')), 'large')).toMatch(/^[12]\d{6}$/);
  await millrace.stopWorkers('stop');
  const ids: string[] = [];
  let refused: Awaited<ReturnType<Millrace['predict']>> | undefined;
  for (let at = 0; at < PREDICTIONS && refused === undefined; at += 1) {
    const input = { x: [[0.512345 + at / 1_000_000]] };
    const response = await millrace.predict('large', { input }, { prefer: 'respond-async' });
    if (response.status === 202) ids.push(response.body.id);
    else refused = response;
  }
  expect(refused?.body).toMatchObject({
    code: 'queue_full',
    detail: expect.stringContaining('the outputs of waiting and running predictions need about'),
  });
  expect(Number(refused?.headers.get('retry-after'))).toBeGreaterThan(0);
  await millrace.startWorker();
  for (const id of ids)
    await expect
      .poll(async () => (await fetch(`${millrace.url}/v1/predictions/${id}?wait=5`)).json(), { timeout: 60_000 })
      .toMatchObject({ status: 'succeeded', attempt: 1 });
  const peak = Number(/^used_memory_peak:(\d+)/m.exec(await redis.info('memory'))?.[1]);
  console.log(`${ids.length} accepted; the peak of all tests of this file was ${Math.round(peak / 1_048_576)} MiB`);
  await expect
    .poll(
      async () => (await millrace.predict('large', { input: { x: [[0.951234567]] } }, { prefer: 'wait=20' })).status,
      {
        timeout: 60_000,
      },
    )
    .toBe(200);
});
