/** Tests single runs of followers.lua, which ends the followers of a leader whose computation has ended. */
import { LOST } from '@millrace/shared/live/end-errors';
import { describe, expect, test } from 'vitest';
import { NOW, useLive } from './live-fixture.ts';
import { LONG_RESULT, RECORDED_MS, useScripts } from './script-fixture.ts';

const f = useLive();
const s = useScripts(f);

/** A leader whose end has reached one of its followers. */
async function halfEnded(followers: number, { isCanceled = false } = {}) {
  const { id, ids } = await s.lead(followers);
  const one = await s.taken(id);
  if (isCanceled) await s.cancel(id);
  await s.finish(one, { result: LONG_RESULT });
  expect(await s.waiting(id)).toBe(followers - 1);
  return { id, ids };
}

describe('with the end of the leader', () => {
  test('ends the followers, and leaves the leader as it was', async () => {
    const { id, ids } = await halfEnded(2);
    const before = await f.redis.get(f.keys.live(id));
    const left = await s.lifetime(id);
    await f.redis.set(f.keys.live(id), before!.replace(LONG_RESULT, '"short"'), 'PX', left);
    expect(await s.followers(id)).toBe(0);
    const statuses = await Promise.all(ids.map((follower) => f.status(follower)));
    expect(statuses).toEqual(['succeeded', 'succeeded']);
    expect(await s.lifetime(id)).toBeLessThanOrEqual(left);
  });

  test('ends no follower of a leader that runs, or whose state is gone', async () => {
    const { id, ids } = await s.lead(1);
    await s.taken(id);
    expect([await s.followers(id), await f.status(ids[0]!)]).toEqual([0, 'running']);
    await f.redis.del(f.keys.live(id));
    expect([await s.followers(id), await f.status(ids[0]!), await s.waiting(id)]).toEqual([0, 'running', 1]);
  });
});

describe('with a result', () => {
  test('ends only the open followers of this leader', async () => {
    const { id, ids } = await s.lead(3);
    const [canceled = '', gone = '', other = ''] = ids;
    const waiting = f.keys.followers(id);
    await s.cancel(canceled);
    await f.redis.del(f.keys.live(gone));
    const alone = (await f.submit()).id;
    await s.taken(alone);
    s.flight = `${s.flight}-other`;
    const [foreign = ''] = (await s.lead(1)).ids;
    await f.redis.sadd(waiting, canceled, alone, foreign);
    expect(await s.followers(id, {})).toBe(0);
    const statuses = await Promise.all([canceled, gone, other, alone, foreign].map((one) => f.status(one)));
    expect(statuses).toEqual(['canceled', undefined, 'succeeded', 'running', 'queued']);
  });

  test('ends the followers of a canceled leader, and the state of the leader expires behind the last follower', async () => {
    const { id, ids } = await halfEnded(3, { isCanceled: true });
    expect(await s.followers(id, { result: LONG_RESULT })).toBe(1);
    expect(await f.live.read(id)).toMatchObject({ status: 'canceled', runsForFollowers: true });
    expect(await s.lifetime(id)).toBe(-1);
    expect(await s.followers(id, { result: LONG_RESULT })).toBe(0);
    expect(await f.live.read(id)).toMatchObject({ status: 'canceled', runsForFollowers: false });
    expect(await s.lifetime(id)).toBeGreaterThan(RECORDED_MS);
    for (const follower of ids) expect(await f.status(follower)).toBe('succeeded');
  });

  test('ends the followers of a leader whose state is gone', async () => {
    const { id, ids } = await s.lead(1);
    await f.redis.del(f.keys.live(id));
    expect(await s.followers(id, { nowMs: NOW + 5 })).toBe(0);
    expect(await f.live.read(ids[0]!)).toMatchObject({ status: 'succeeded', completedAt: NOW + 5, workerId: 'w1' });
  });
});

test.each([
  ['canceled', NOW + 60_000],
  ['expired', NOW + 10],
] as const)(
  'every follower of a leader that is %s fails after the computation was lost too often, also behind the first run',
  async (status, expiresAt) => {
    const { id, ids } = await s.lead(203, expiresAt);
    await f.take([id], { worker: 'dead-1', most: 2 });
    if (status === 'canceled') await s.cancel(id);
    await f.take([id], { worker: 'dead-2', most: 2, now: NOW + 20 });
    expect(await f.take([id], { worker: 'w3', most: 2, now: NOW + 20 })).toEqual([]);
    const ended = await f.live.readMany(ids);
    const ends = ended.map((one) => [one?.status, String(one?.result), one?.startedAt, one?.workerId]);
    expect(new Set(ends.map((end) => JSON.stringify(end)))).toEqual(
      new Set([JSON.stringify(['failed', LOST, null, null])]),
    );
    expect(await f.live.read(id)).toMatchObject({ status, runsForFollowers: false });
  },
);
