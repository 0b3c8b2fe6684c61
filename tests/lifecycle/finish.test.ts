/** Tests the codes of finish.lua and the states behind each code. */
import { describe, expect, test } from 'vitest';
import { NOW, newPrediction, SHARD, TARGET, useLive } from './live-fixture.ts';
import { LINGERS_MS, LONG_RESULT, RECORDED_MS, useScripts } from './script-fixture.ts';

const f = useLive();
const s = useScripts(f);

/** The entry of the recorder's stream that was added last, as [id, state]. */
async function lastRecorded(): Promise<string[]> {
  const [entry] = await f.redis.xrevrange(f.keys.ledger(SHARD), '+', '-', 'COUNT', 1);
  return entry?.[1].slice(-2) ?? [];
}

describe('a success', () => {
  test.each([
    ['as the worker took it', true],
    ['that finish.lua composes', false],
  ])(
    '%s has the lifetime of a recorded end, its state in the stream, and its flight for a moment',
    async (_, isKnown) => {
      const { id } = await s.lead(0);
      const { attempt, state } = await s.taken(id);
      expect(await s.finish({ id, attempt, ...(isKnown && { state }) })).toBe(1);
      expect(await f.live.read(id)).toMatchObject({ status: 'succeeded', runsForFollowers: false });
      const left = await s.lifetime(id);
      expect([left > 0, left <= RECORDED_MS]).toEqual([true, true]);
      expect(await lastRecorded()).toEqual([id, await f.redis.get(f.keys.live(id))]);
      const lingers = await f.redis.pttl(f.keys.flight(SHARD, s.flight));
      expect([lingers > 0, lingers <= LINGERS_MS]).toEqual([true, true]);
    },
  );

  test('of a leader is code 1 after its last follower, and code 3 before', async () => {
    const one = await s.lead(1);
    expect(await s.finish(await s.taken(one.id), { result: LONG_RESULT })).toBe(1);
    expect(await f.status(one.ids[0]!)).toBe('succeeded');
    s.flight = `${s.flight}-two`;
    const two = await s.lead(2);
    expect(await s.finish(await s.taken(two.id), { result: LONG_RESULT })).toBe(3);
    expect(await s.waiting(two.id)).toBe(1);
    expect(await f.live.readWhole(two.id)).toMatchObject({ status: 'succeeded', runsForFollowers: false });
    expect(await s.lifetime(two.id)).toBeGreaterThan(0);
  });
});

test('the flights of 450 successes of one run linger, and a flight of another leader stays', async () => {
  const items = Array.from({ length: 450 }, (_, n) => newPrediction({ flight: `${s.flight}-${n}` }));
  const flights = items.map(({ flight }) => f.keys.flight(SHARD, flight ?? ''));
  await f.live.submit(TARGET, { priority: 'normal', job: 'p-many', nowMs: NOW }, items);
  const taken = await f.take(items.map(({ id }) => id));
  const [gone, other] = [flights[1] ?? '', flights[430] ?? ''];
  await f.redis.del(gone);
  await f.redis.set(other, 'another', 'PX', 600_000);
  const run = {
    status: 'succeeded',
    result: '1',
    startedAt: NOW,
    batchedAt: NOW,
    inferenceMs: 1,
    batchSize: 450,
  } as const;
  const verdicts = await f.live.finish(
    SHARD,
    taken.map((one) => ({ ...one, ...run })),
    { worker: 'w1', nowMs: NOW },
  );
  expect(verdicts).toEqual(items.map(() => 'written'));
  const left = await Promise.all(flights.map((name) => f.redis.pttl(name)));
  const lingering = left.filter((ms, n) => flights[n] !== other && ms > 0 && ms <= LINGERS_MS);
  expect([lingering.length, left[1], await f.redis.get(other)]).toEqual([448, -2, 'another']);
  expect(left[430]).toBeGreaterThan(LINGERS_MS);
});

describe('the result of a leader with another end', () => {
  test('is code 4 before its last follower: the leader stays until its followers have ended', async () => {
    const { id } = await s.lead(2);
    const one = await s.taken(id);
    await s.cancel(id);
    expect(await s.finish(one, { result: LONG_RESULT })).toBe(4);
    expect(await s.waiting(id)).toBe(1);
    expect(await f.live.read(id)).toMatchObject({ status: 'canceled', runsForFollowers: true });
    expect([await s.lifetime(id), await f.flightHolder(s.flight)]).toEqual([-1, null]);
  });

  test('is code 4 where its deadline has passed meanwhile', async () => {
    const { id } = await s.lead(2, NOW + 10);
    expect(await s.finish(await s.taken(id), { result: LONG_RESULT, nowMs: NOW + 20 })).toBe(4);
    expect(await f.live.read(id)).toMatchObject({ status: 'expired', runsForFollowers: true });
    expect([await s.lifetime(id), await f.flightHolder(s.flight)]).toEqual([-1, null]);
  });

  test('is code 1 after its last follower', async () => {
    const { id, ids } = await s.lead(1);
    const one = await s.taken(id);
    await s.cancel(id);
    expect(await s.finish(one)).toBe(1);
    expect(await f.live.read(id)).toMatchObject({ status: 'canceled', runsForFollowers: false });
    expect(await s.lifetime(id)).toBeGreaterThan(RECORDED_MS);
    expect(await f.status(ids[0]!)).toBe('succeeded');
  });

  test('is code 2 where Redis has lost its followers', async () => {
    const { id } = await s.lead(1);
    const one = await s.taken(id);
    await s.cancel(id);
    await f.redis.del(f.keys.followers(id));
    expect(await s.finish(one)).toBe(2);
    expect(await f.live.read(id)).toMatchObject({ status: 'canceled', runsForFollowers: false });
    expect(await s.lifetime(id)).toBeGreaterThan(RECORDED_MS);
  });
});
