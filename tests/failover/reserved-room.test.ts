/**
 * Tests that accepted work has room for its outputs in the queue Redis: for first outputs, and for the copies of
 * followers.
 */
import type { Redis } from 'ioredis';
import { expect, test } from 'vitest';
import type { ApiResponse, Millrace } from '../support/millrace.ts';
import { PREDICTIONS, useSmallQueue } from '../support/small-queue.ts';

const MIB = 1_048_576;
let millrace: Millrace;
let redis: Redis;

useSmallQueue(async (queue) => {
  ({ redis, millrace } = queue);
  await millrace.stopWorkers('stop');
});

/** Submits until admission refuses. Returns the accepted ids and the refusal. */
async function fill(body: (n: number) => Record<string, unknown>): Promise<{ ids: string[]; refused?: ApiResponse }> {
  const ids: string[] = [];
  for (let n = 0; n < PREDICTIONS; n += 1) {
    const response = await millrace.predict('large', body(n), { prefer: 'respond-async' });
    if (response.status !== 202) return { ids, refused: response };
    ids.push(response.body.id);
  }
  return { ids };
}

async function expectRefusal(body: (n: number) => Record<string, unknown>): Promise<string[]> {
  const { ids, refused } = await fill(body);
  expect(refused?.body).toMatchObject({
    status: 429,
    code: 'queue_full',
    detail: expect.stringContaining('the outputs of waiting and running predictions need about'),
  });
  expect(ids.length).toBeGreaterThan(0);
  console.log(`${ids.length} of ${PREDICTIONS} accepted: ${refused?.body.detail}`);
  return ids;
}

async function used(which = 'used_memory'): Promise<number> {
  return Number(new RegExp(`^${which}:(\\d+)`, 'm').exec(await redis.info('memory'))?.[1]);
}

async function endAll(ids: readonly string[]): Promise<void> {
  await millrace.startWorker();
  for (const id of ids)
    await expect
      .poll(async () => (await fetch(`${millrace.url}/v1/predictions/${id}?wait=5`)).json(), { timeout: 60_000 })
      .toMatchObject({ status: 'succeeded', attempt: 1 });
  // The recorder drops large states that the ledger has, until half of the allowed memory is free.
  await expect.poll(() => used(), { timeout: 60_000 }).toBeLessThan(30 * MIB);
  await millrace.stopWorkers('stop');
}

test('an unmeasured output has room by the shape in the model file', { timeout: 180_000 }, async () => {
  await endAll(await expectRefusal((n) => ({ input: { x: [[0.312345 + n / 1_000_000]] } })));
});

test('the outputs of followers have room', { timeout: 180_000 }, async () => {
  const leader = await millrace.predict('large', { input: { x: [[0.7654321]] } }, { prefer: 'respond-async' });
  expect(leader.status).toBe(202);
  const ids = await expectRefusal((n) => ({ input: { x: [[0.7654321]] }, metadata: { n: `${n}` } }));
  await endAll([leader.body.id, ...ids]);
  expect(await used('used_memory_peak')).toBeLessThan(62 * MIB);
});
