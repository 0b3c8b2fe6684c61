/** Tests the takes of predictions that have followers, a deadline, an earlier attempt or an end. run.test.ts tests the frequent case. */
import { bytesOf } from '@millrace/shared/live/script-replies';
import { withScripts } from '@millrace/shared/live/scripts';
import { workerText } from '@millrace/shared/live/state-layout';
import { describe, expect, test } from 'vitest';
import { MODEL, NOW, newId, SHARD, useLive } from './live-fixture.ts';
import { RECORDED_MS, UNRECORDED_MS, useScripts } from './script-fixture.ts';

const f = useLive();
const s = useScripts(f);
const left = async () => (await f.live.counts(MODEL)).left[5] ?? 0;

describe('at the deadline', () => {
  test('a prediction alone leaves the queue once and loses its flight, and its state expires', async () => {
    const { id } = await s.lead(0, NOW + 10);
    const before = await left();
    expect(await f.take([id, id], { now: NOW + 10 })).toEqual([]);
    expect([await f.status(id), await left(), await f.flightHolder(s.flight)]).toEqual(['expired', before + 1, null]);
    expect(await s.lifetime(id)).toBeGreaterThan(0);
    expect(await f.events()).toContainEqual([id, 'expired', 0]);
  });

  test('a leader with followers keeps its flight and its state, and is counted out of the queue by its attempt', async () => {
    const { id } = await s.lead(1, NOW + 10);
    const before = await left();
    expect(await f.take([id], { now: NOW + 10 })).toHaveLength(1);
    expect(await f.live.read(id)).toMatchObject({ status: 'expired', runsForFollowers: true });
    expect([await s.lifetime(id), await left(), await f.flightHolder(s.flight)]).toEqual([-1, before + 1, id]);
  });

  test('a canceled leader stays canceled', async () => {
    const { id } = await s.lead(1, NOW + 10);
    await s.cancel(id);
    expect(await f.take([id], { now: NOW + 10 })).toHaveLength(1);
    expect(await f.status(id)).toBe('canceled');
  });

  test('the attempt of a worker that died stays in the list of attempts', async () => {
    const { id } = await f.submit({ expiresAt: NOW + 10 });
    await f.take([id], { worker: 'dead', now: NOW + 1 });
    expect(await f.take([id], { worker: 'w2', now: NOW + 10 })).toEqual([]);
    const state = await f.live.read(id);
    expect(state).toMatchObject({ status: 'expired', startedAt: null });
    expect(JSON.parse(state?.options ?? '')).toEqual({ past: [[1, 'dead', NOW + 1]] });
  });
});

describe('a prediction that needs no computation', () => {
  test('keeps its lifetime: a success, and a follower that waits', async () => {
    const { id, ids } = await s.lead(1);
    const [follower = ''] = ids;
    expect(await f.take([follower])).toEqual([]);
    expect(await s.lifetime(follower)).toBeGreaterThan(UNRECORDED_MS);
    await s.finish(await s.taken(id));
    expect(await f.take([id, follower])).toEqual([]);
    expect(await s.lifetime(id)).toBeLessThanOrEqual(RECORDED_MS);
    expect(await s.lifetime(follower)).toBeLessThanOrEqual(RECORDED_MS);
  });

  test('is a canceled leader whose followers are gone: the leader leaves the queue once, and the state expires', async () => {
    const { id } = await s.lead(1);
    await s.cancel(id);
    await f.redis.del(f.keys.followers(id));
    const before = await left();
    expect(await f.take([id])).toEqual([]);
    expect(await f.live.read(id)).toMatchObject({ status: 'canceled', runsForFollowers: false });
    expect([await left(), (await s.lifetime(id)) > 0]).toEqual([before + 1, true]);
    expect([await f.take([id]), await left()]).toEqual([[], before + 1]);
  });

  test('leaves the queue if its end did not count it out, and once', async () => {
    const { id } = await f.submit();
    await s.cancel(id);
    await f.redis.setrange(f.keys.live(id), 12, '0');
    const before = await left();
    expect(await f.take([id, id])).toEqual([]);
    expect(await left()).toBe(before + 1);
    expect(await f.take([id])).toEqual([]);
    expect(await left()).toBe(before + 1);
  });

  test('is a leader whose task is gone', async () => {
    const { id } = await f.submit({ task: '', flight: s.flight });
    await f.submit({ flight: s.flight });
    expect(await f.take([id])).toEqual([]);
    expect(await f.status(id)).toBe('queued');
  });
});

describe('a leader', () => {
  test('shows its open followers as running since the same moment, and touches no other prediction of its list', async () => {
    const { id, ids } = await s.lead(3);
    const [open = '', canceled = '', gone = ''] = ids;
    await s.cancel(canceled);
    await f.redis.del(f.keys.live(gone));
    await f.redis.sadd(f.keys.followers(id), canceled);
    expect(await f.take([id], { now: NOW + 7 })).toHaveLength(1);
    expect(await f.live.read(open)).toMatchObject({ status: 'running', startedAt: NOW + 7 });
    expect(await f.live.read(canceled)).toMatchObject({ status: 'canceled', startedAt: null });
    expect(await f.redis.exists(f.keys.live(gone))).toBe(0);
  });

  test('that is canceled and was lost too often has no mark, and its state expires', async () => {
    const { id, ids } = await s.lead(1);
    await f.take([id], { worker: 'dead', most: 1 });
    await s.cancel(id);
    expect(await f.take([id], { worker: 'w2', most: 1 })).toEqual([]);
    expect(await f.live.read(id)).toMatchObject({ status: 'canceled', runsForFollowers: false });
    expect(await s.lifetime(id)).toBeGreaterThan(RECORDED_MS);
    expect([await f.status(ids[0] ?? ''), await f.flightHolder(s.flight)]).toEqual(['failed', null]);
  });
});

describe('the job of a prediction', () => {
  test('is any job for a first opening', async () => {
    const { id } = await s.lead(1);
    const row = { id, model: MODEL, opening: 0, supersededAt: null, expiresAt: null };
    await f.live.adopt(row, { job: `p-${id}-9`, nowMs: NOW });
    expect(await f.take([id], { jobs: [`p-${id}`] })).toHaveLength(1);
  });

  test('is any job for a later opening that continues the first job', async () => {
    const { id } = await s.lead(1);
    await s.cancel(id);
    const again = { id, tenant: 'default', job: `p-${id}-1`, opening: 1, expiresAt: null, nowMs: NOW };
    expect(await f.live.retry(again)).toEqual({ outcome: 'attached' });
    expect(await f.take([id], { jobs: [`p-${newId()}-1`] })).toHaveLength(1);
  });
});

test('an unreadable state is discarded and counted by the script itself', async () => {
  const { id } = await f.submit();
  await f.live.takeDiscarded(SHARD);
  await f.redis.set(f.keys.live(id), 'unreadable text');
  expect(await f.live.take(SHARD, [id], { worker: 'w1', maxAttempts: 4, nowMs: NOW })).toEqual([]);
  expect([await f.redis.exists(f.keys.live(id)), await f.live.takeDiscarded(SHARD)]).toEqual([0, 1]);
});

test('an execution that its own worker takes again is not lost, without a heartbeat too', async () => {
  const { id } = await f.submit();
  await f.take([id], { worker: 'w9', most: 1 });
  expect(await f.take([id], { worker: 'w9', most: 1 })).toMatchObject([{ attempt: 2, lost: 0 }]);
});

test.each([
  ['less than', 524_287, true],
  ['exactly', 524_288, false],
])('a reply with %s a mebibyte reads one more state', async (_, bytes, isRead) => {
  const task = (characters: number) => JSON.stringify('x'.repeat(characters - 2));
  const probe = await f.submit({ task: task(1_000) });
  const besides = (await f.redis.strlen(f.keys.live(probe.id))) - 1_000;
  const ids: string[] = [];
  for (const size of [524_288, bytes, 2_000]) ids.push((await f.submit({ task: task(size - besides) })).id);
  const keys = ids.map((id) => f.keys.live(id));
  const args = [NOW, f.keys.tag(SHARD), workerText('w1'), 4, RECORDED_MS, UNRECORDED_MS, 4_096, '{}', '{}'];
  const states = bytesOf(await withScripts(f.redis).mrTakeBuffer(keys.length, ...keys, ...args));
  expect(states.map((state) => state?.length ?? null)).toEqual([524_288, bytes, isRead ? 2_000 : null]);
  expect(await f.status(ids[2] ?? '')).toBe(isRead ? 'running' : 'queued');
});
