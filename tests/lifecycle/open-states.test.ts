/** Tests which of many predictions count as open: an API process with waiting callers reads the others alone. */
import { newPredictionId } from '@millrace/shared/predictions/ids';
import { expect, test, vi } from 'vitest';
import { NOW, newId, SHARD, useLive } from './live-fixture.ts';

const f = useLive();

test('queued and running predictions are open; ended and missing predictions are not', async () => {
  const [queued, running, ended, canceled] = await Promise.all([f.submit(), f.submit(), f.submit(), f.submit()]);
  const [, taken] = await f.take([running.id, ended.id]);
  await f.finish(taken ?? { id: ended.id, attempt: 1 });
  await f.live.end(canceled.id, { tenant: 'default', status: 'canceled', nowMs: NOW });
  const ids = [ended.id, queued.id, newId(), running.id, canceled.id, queued.id];
  expect(await f.live.areOpen(ids)).toEqual([false, true, false, true, false, true]);
  expect(await f.live.areOpen([])).toEqual([]);
});

test('the ids can be of several shards', async () => {
  const { id } = await f.submit();
  const elsewhere = newPredictionId((SHARD + 1) % 16, NOW);
  expect(await f.live.areOpen([elsewhere, id])).toEqual([false, true]);
});

test.each([
  ['another type', async (key: string) => f.redis.del(key).then(() => f.redis.hset(key, { s: 'queued' }))],
  ['a cut head', async (key: string) => f.redis.set(key, ((await f.redis.get(key)) ?? '').slice(0, 40))],
  ['cut fields', async (key: string) => f.redis.set(key, ((await f.redis.get(key)) ?? '').slice(0, 110))],
  [
    'letters for numbers',
    async (key: string) => f.redis.set(key, ((await f.redis.get(key)) ?? '').replace(/\d{5}/g, 'xxxxx')),
  ],
])('a state with %s is not open, and hides no other state', async (_, damage) => {
  const [bad, good] = [await f.submit(), await f.submit()];
  await damage(f.keys.live(bad.id));
  expect(await f.live.areOpen([bad.id, good.id])).toEqual([false, true]);
});

test('one command reads 500 states', async () => {
  const { id } = await f.submit();
  const ids = [...Array.from({ length: 499 }, () => newId()), id];
  await f.live.areOpen(ids);
  const scripts = vi.spyOn(f.redis, 'evalsha');
  expect((await f.live.areOpen(ids)).indexOf(true)).toBe(499);
  expect(scripts).toHaveBeenCalledTimes(1);
  scripts.mockRestore();
});
