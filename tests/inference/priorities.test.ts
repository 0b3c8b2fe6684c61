import { expect, test } from 'vitest';
import { useSmallModels } from '../support/small-models.ts';

const millrace = useSmallModels(['slow', 'rows']);

/** Iterations of the model `slow` that take about 20 ms. */
const TURNS = 30_000;
let used = 0;
const input = (turns = TURNS) => {
  used += 1;
  return { input: { x: [turns + used] } };
};
const get = (id: string, query = '') => millrace.request(`/v1/predictions/${id}${query}`);
const ended = async () => (await millrace.workers[0]?.metric('millrace_worker_predictions_total')) ?? Number.NaN;

/** Submits many predictions of normal priority. Resolves to their ids when the worker has started on them. */
async function flood(count: number): Promise<string[]> {
  const ids: string[] = [];
  while (ids.length < count) {
    const some = Array.from({ length: Math.min(50, count - ids.length) }, () => millrace.predict('slow', input()));
    ids.push(...(await Promise.all(some)).map(({ body }) => body.id as string));
  }
  const begun = async () =>
    (await Promise.all(ids.slice(0, 20).map((id) => get(id)))).some(({ body }) => body.attempt > 0);
  await expect.poll(begun, { timeout: 60_000 }).toBe(true);
  return ids;
}

async function cancelAll(ids: readonly string[]): Promise<void> {
  for (let at = 0; at < ids.length; at += 50)
    await Promise.all(
      ids.slice(at, at + 50).map((id) => millrace.request(`/v1/predictions/${id}/cancel`, { method: 'POST' })),
    );
}

// More than a second of work and one run, and much less than the flood.
const BOUND = 140;

test('a high-priority prediction runs before all normal predictions that a worker holds', async () => {
  const ids = await flood(800);
  const before = await ended();
  const high = await millrace.predict('slow', { ...input(), priority: 'high', expires_in: 20 });
  expect(high.body).toMatchObject({ status: 'queued', queue: { position: 1 } });
  expect((await get(high.body.id, '?wait=30')).body.status).toBe('succeeded');
  const between = (await ended()) - before;
  expect(between).toBeLessThanOrEqual(BOUND);
  // Otherwise the high-priority prediction has overtaken nothing.
  expect((await get(ids.at(-1) as string)).body.status).toBe('queued');
  await cancelAll(ids);
}, 120_000);

test('a high-priority prediction runs before the remaining rows of a very large prediction', async () => {
  const inputs = Array.from({ length: 200 }, () => input().input);
  const long = await millrace.predict('slow', { inputs });
  await expect.poll(async () => (await get(long.body.id)).body.status, { timeout: 60_000 }).toBe('running');
  const high = await millrace.predict('slow', { ...input(), priority: 'high' }, { prefer: 'wait=30' });
  expect(high.body.status).toBe('succeeded');
  // The turn of another model also comes.
  const other = await millrace.predict('rows', { input: { x: [[used, 1]] } }, { prefer: 'wait=30' });
  expect(other.body.status).toBe('succeeded');
  expect((await get(long.body.id)).body.status).toBe('running');
  await get(long.body.id, '?wait=60');
}, 120_000);

test('a high-priority follower raises its normal leader above the other predictions that a worker holds', async () => {
  const ids = await flood(400);
  const last = input();
  const leader = await millrace.predict('slow', last);
  const before = await ended();
  const follower = await millrace.predict('slow', { ...last, priority: 'high', metadata: {} }, { prefer: 'wait=30' });
  expect(follower.body.status).toBe('succeeded');
  expect(follower.headers.get('cache-status')).toMatch(/; collapsed(;|$)/);
  expect((await ended()) - before).toBeLessThanOrEqual(BOUND);
  expect((await get(leader.body.id)).body.status).toBe('succeeded');
  expect((await get(ids.at(-1) as string)).body.status).toBe('queued');
  await cancelAll(ids);
}, 120_000);

test('canceled predictions that a worker holds are not run', async () => {
  const ids = await flood(200);
  await cancelAll(ids);
  const before = await ended();
  const next = await millrace.predict('slow', { ...input(), priority: 'low' }, { prefer: 'wait=30' });
  expect(next.body.status).toBe('succeeded');
  // The last prediction, and the runs that were in progress.
  expect((await ended()) - before).toBeLessThanOrEqual(40);
}, 120_000);
