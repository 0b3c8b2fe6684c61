import { describe, expect, test } from 'vitest';
import { MODEL, NOW, newId, SHARD, useLive } from './live-fixture.ts';

const f = useLive();
const cancel = (id: string) => f.live.end(id, { tenant: 'default', status: 'canceled', nowMs: NOW });
const leftQueue = async () => (await f.live.counts(MODEL)).left[5] ?? 0;
const ttl = (id: string) => f.redis.pttl(f.keys.live(id));

test('a waiting prediction is canceled once and leaves the queue', async () => {
  const { id } = await f.submit({ flight: 'end-1' });
  const before = await f.live.counts(MODEL);
  expect(await cancel(id)).toEqual({ outcome: 'ended', was: 'queued' });
  expect(await cancel(id)).toEqual({ outcome: 'terminal', status: 'canceled' });
  expect((await f.live.counts(MODEL)).left[5]).toBe((before.left[5] ?? 0) + 1);
  expect(await f.flightHolder('end-1')).toBeNull();
  expect(await f.take([id])).toEqual([]);
  expect((await f.live.counts(MODEL)).left[5]).toBe((before.left[5] ?? 0) + 1);
});

test('another tenant cannot cancel a prediction, and an unknown id cannot be canceled', async () => {
  const { id } = await f.submit();
  expect(await f.live.end(id, { tenant: 'stranger', status: 'canceled', nowMs: NOW })).toEqual({ outcome: 'gone' });
  expect(await cancel(newId())).toEqual({ outcome: 'gone' });
});

test('a prediction expires at its deadline and not earlier', async () => {
  const { id } = await f.submit({ expiresAt: NOW + 10 });
  expect(await f.live.end(id, { tenant: 'default', status: 'expired', nowMs: NOW + 9 })).toEqual({ outcome: 'early' });
  expect(await f.live.end(id, { tenant: 'default', status: 'expired', nowMs: NOW + 10 })).toEqual({
    outcome: 'ended',
    was: 'queued',
  });
});

describe('a leader with followers', () => {
  test('is canceled alone: its computation continues and gives the followers their result', async () => {
    const lead = await f.submit({ flight: 'end-2' });
    const follower = await f.submit({ flight: 'end-2' });
    await cancel(lead.id);
    expect([await f.status(lead.id), await f.status(follower.id)]).toEqual(['canceled', 'queued']);
    expect(await ttl(lead.id)).toBe(-1);
    const [taken] = await f.take([lead.id]);
    expect(taken).toMatchObject({ id: lead.id, attempt: 1 });
    expect(await f.status(lead.id)).toBe('canceled');
    expect(await f.finish(taken!)).toBe('written');
    expect([await f.status(lead.id), await f.status(follower.id)]).toEqual(['canceled', 'succeeded']);
    expect(await ttl(lead.id)).toBeGreaterThan(0);
  });

  test('keeps its state while it computes for followers, although the recorder shortens lifetimes', async () => {
    const lead = await f.submit({ flight: 'end-3' });
    await f.submit({ flight: 'end-3' });
    await cancel(lead.id);
    await f.live.shorten([{ id: lead.id, completedAt: NOW }], 10);
    expect(await ttl(lead.id)).toBe(-1);
  });

  test('is not computed after its last follower has ended', async () => {
    const lead = await f.submit({ flight: 'end-4' });
    const follower = await f.submit({ flight: 'end-4' });
    const left = await leftQueue();
    await cancel(lead.id);
    expect(await leftQueue()).toBe(left);
    await cancel(follower.id);
    expect(await leftQueue()).toBe(left + 1);
    expect(await f.live.read(lead.id)).toMatchObject({ status: 'canceled', runsForFollowers: false });
    expect(await f.take([lead.id])).toEqual([]);
    expect(await leftQueue()).toBe(left + 1);
    expect(await f.flightHolder('end-4')).toBeNull();
    expect(await ttl(lead.id)).toBeGreaterThan(0);
  });

  test('stays in the queue when its only follower is canceled', async () => {
    const lead = await f.submit({ flight: 'end-6' });
    const follower = await f.submit({ flight: 'end-6' });
    const left = await leftQueue();
    await cancel(follower.id);
    expect([await f.status(lead.id), await leftQueue()]).toEqual(['queued', left]);
    expect(await f.flightHolder('end-6')).toBe(lead.id);
    expect(await f.take([lead.id])).toMatchObject([{ id: lead.id }]);
  });

  test('is computed after its own end while a second follower waits', async () => {
    const lead = await f.submit({ flight: 'end-7' });
    const [one, two] = [await f.submit({ flight: 'end-7' }), await f.submit({ flight: 'end-7' })];
    const left = await leftQueue();
    await cancel(lead.id);
    await cancel(one.id);
    expect(await leftQueue()).toBe(left);
    const [taken] = await f.take([lead.id]);
    await f.finish(taken!);
    expect(await f.status(two.id)).toBe('succeeded');
  });

  test('continues when one of two followers has ended', async () => {
    const lead = await f.submit({ flight: 'end-5' });
    const [one, two] = [await f.submit({ flight: 'end-5' }), await f.submit({ flight: 'end-5' })];
    await cancel(one.id);
    const [taken] = await f.take([lead.id]);
    await f.finish(taken!);
    expect([await f.status(lead.id), await f.status(one.id), await f.status(two.id)]).toEqual([
      'succeeded',
      'canceled',
      'succeeded',
    ]);
  });
});

test('a recorded end is kept for a short time, and a prediction that was reopened meanwhile keeps its lifetime', async () => {
  const { id } = await f.submit();
  await cancel(id);
  const first = { id, completedAt: NOW };
  await f.live.shorten([first], 5_000);
  expect(await ttl(id)).toBeLessThanOrEqual(5_000);
  await f.live.retry({ id, tenant: 'default', job: 'p-again', opening: 1, expiresAt: null, nowMs: NOW });
  // The recorder was slow: the recorder had read the first end before the retry.
  await f.live.shorten([first], 5_000);
  expect(await ttl(id)).toBeGreaterThan(60_000);
  // The next end is not recorded yet.
  await f.live.end(id, { tenant: 'default', status: 'canceled', nowMs: NOW + 1 });
  await f.live.shorten([first], 5_000);
  expect(await ttl(id)).toBeGreaterThan(60_000);
  expect(await f.live.task(id)).toBe('{"rows":["1"]}');
  expect(SHARD).toBe(Number.parseInt(id.slice(15, 18), 16));
});
