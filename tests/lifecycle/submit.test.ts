import { beforeEach, describe, expect, test } from 'vitest';
import { MODEL, NOW, newId, newPrediction, SHARD, TARGET, useLive } from './live-fixture.ts';

const f = useLive();
let flight = '';
let number = 0;
beforeEach(() => {
  number += 1;
  flight = `flight-${number}`;
});

test('a new prediction leads, is queued and can be read whole', async () => {
  const { id, submitted } = await f.submit({ metadata: '{"a":1}', options: '{"webhook":{}}', flight });
  expect(submitted).toEqual({ outcome: 'lead', number: expect.any(Number) });
  expect(await f.live.read(id)).toMatchObject({
    ...{ id, model: MODEL, version: '1', digest: TARGET.digest, status: 'queued', result: '', attempts: 0 },
    ...{ createdAt: NOW, startedAt: null, completedAt: null, expiresAt: NOW + 60_000, metadata: '{"a":1}' },
    ...{ tenant: 'default', priority: 5, options: '{"webhook":{}}', leader: null, job: `p-${id}` },
  });
  expect(await f.live.task(id)).toBe('{"rows":["1"]}');
  expect(await f.flightHolder(flight)).toBe(id);
});

test('numbers increase by priority, and the reply has the counts', async () => {
  const batch = [newPrediction(), newPrediction()];
  const { items, counts } = await f.live.submit(TARGET, { priority: 'high', job: 'p-high', nowMs: NOW }, batch);
  expect(items).toEqual([
    { outcome: 'lead', number: 1 },
    { outcome: 'lead', number: 2 },
  ]);
  expect(counts.entered[1]).toBe(2);
  expect(await f.live.counts(MODEL)).toEqual(counts);
  const third = await f.submit({}, { priority: 'high' });
  expect(third.submitted).toEqual({ outcome: 'lead', number: 3 });
});

test('submitting the same prediction again changes nothing', async () => {
  const { id } = await f.submit();
  const [taken] = await f.take([id]);
  expect((await f.submit({ id, task: 'other' })).submitted).toEqual({ outcome: 'exists', status: 'running' });
  expect(await f.live.task(id)).toBe('{"rows":["1"]}');
  expect(await f.finish(taken!)).toBe('written');
  expect((await f.submit({ id })).submitted).toEqual({ outcome: 'exists', status: 'succeeded' });
});

describe('the same prediction again', () => {
  test('keeps its flight', async () => {
    const { id } = await f.submit({ flight });
    expect((await f.submit({ id, flight })).submitted).toEqual({ outcome: 'exists', status: 'queued' });
    expect(await f.flightHolder(flight)).toBe(id);
  });

  test('gets no new flight when its flight is gone', async () => {
    const { id } = await f.submit({ flight });
    await f.redis.del(f.keys.flight(SHARD, flight));
    expect((await f.submit({ id, flight })).submitted).toEqual({ outcome: 'exists', status: 'queued' });
    expect(await f.flightHolder(flight)).toBeNull();
  });

  test('leaves the flight of a prediction whose state is gone', async () => {
    const { id } = await f.submit({ flight });
    const gone = newId();
    await f.redis.set(f.keys.flight(SHARD, flight), gone);
    expect((await f.submit({ id, flight })).submitted).toEqual({ outcome: 'exists', status: 'queued' });
    expect(await f.flightHolder(flight)).toBe(gone);
  });

  test('leads again when only its flight is left', async () => {
    const { id } = await f.submit({ flight });
    await f.redis.del(f.keys.live(id));
    expect((await f.submit({ id, flight })).submitted.outcome).toBe('lead');
    expect(await f.flightHolder(flight)).toBe(id);
  });

  test('whose state was lost ends its followers', async () => {
    const lead = await f.submit({ flight });
    const follower = await f.submit({ flight });
    await f.redis.del(f.keys.live(lead.id));
    expect((await f.submit({ id: lead.id, flight })).submitted.outcome).toBe('lead');
    const [taken] = await f.take([lead.id]);
    expect(await f.finish(taken!)).toBe('written');
    expect(await f.status(follower.id)).toBe('succeeded');
  });

  test.each(['runs', 'has succeeded'])(
    'whose state was lost ends its followers, also where a later leader %s',
    async (stage) => {
      const lead = await f.submit({ flight });
      const follower = await f.submit({ flight });
      await f.redis.del(f.keys.live(lead.id));
      const later = await f.submit({ flight });
      expect(later.submitted.outcome).toBe('lead');
      const [first] = await f.take([later.id]);
      if (stage === 'has succeeded') await f.finish(first!);
      expect((await f.submit({ id: lead.id, flight })).submitted.outcome).toBe('lead');
      const [taken] = await f.take([lead.id]);
      expect(await f.finish(taken!)).toBe('written');
      expect(await f.status(follower.id)).toBe('succeeded');
      if (stage === 'runs') expect(await f.finish(first!)).toBe('written');
      expect(await f.status(later.id)).toBe('succeeded');
    },
  );

  test('as a follower, or with a cached result, has its status', async () => {
    const lead = await f.submit({ flight });
    const { id } = await f.submit({ flight });
    expect((await f.submit({ id, flight })).submitted).toEqual({ outcome: 'exists', status: 'queued' });
    expect(await f.redis.scard(f.keys.followers(lead.id))).toBe(1);
    expect((await f.submit({ id, known: '1' })).submitted).toEqual({ outcome: 'exists', status: 'queued' });
    expect(await f.status(id)).toBe('queued');
  });
});

describe('an input that is being computed', () => {
  test("is followed while its leader's job is young or exists", async () => {
    const lead = await f.submit({ flight });
    const young = await f.submit({ flight });
    expect(young.submitted).toEqual({
      ...{ outcome: 'follow', leader: lead.id, leaderPriority: 5, leaderJob: `p-${lead.id}` },
    });
    await f.addJob(`p-${lead.id}`);
    expect((await f.submit({ flight }, { now: NOW + 10_000 })).submitted.outcome).toBe('follow');
  });

  test('is followed for three seconds without a job, and not longer', async () => {
    const lead = await f.submit({ flight });
    expect((await f.submit({ flight }, { now: NOW + 2_999 })).submitted.outcome).toBe('follow');
    const next = await f.submit({ flight }, { now: NOW + 3_000 });
    expect([next.submitted.outcome, await f.flightHolder(flight)]).toEqual(['lead', next.id]);
    expect(next.id).not.toBe(lead.id);
  });

  test('is followed while its canceled leader waits in the queue for its followers', async () => {
    const lead = await f.submit({ flight });
    const follower = await f.submit({ flight });
    await f.live.end(lead.id, { tenant: 'default', status: 'canceled', nowMs: NOW });
    const second = await f.submit({ flight }, { now: NOW + 10 });
    expect([second.submitted.outcome, await f.status(second.id)]).toEqual(['follow', 'queued']);
    await f.addJob(`p-${lead.id}`);
    expect((await f.submit({ flight }, { now: NOW + 10_000 })).submitted.outcome).toBe('follow');
    expect(await f.redis.sismember(f.keys.followers(lead.id), follower.id)).toBe(1);
  });

  test('is followed while the worker of its canceled leader lives, without a job too', async () => {
    const lead = await f.submit({ flight });
    await f.submit({ flight });
    await f.beat('lives');
    await f.take([lead.id], { worker: 'lives' });
    await f.live.end(lead.id, { tenant: 'default', status: 'canceled', nowMs: NOW });
    expect((await f.submit({ flight }, { now: NOW + 10_000 })).submitted.outcome).toBe('follow');
    await f.redis.del(f.keys.worker(SHARD, 'lives'));
    expect((await f.submit({ flight }, { now: NOW + 1 })).submitted.outcome).toBe('lead');
  });

  test('gets a new leader when its flight names a prediction that has failed', async () => {
    const lead = await f.submit();
    const [taken] = await f.take([lead.id]);
    await f.finish(taken!, { status: 'failed', result: '{}' });
    await f.redis.set(f.keys.flight(SHARD, flight), lead.id);
    const next = await f.submit({ flight });
    expect([next.submitted.outcome, await f.flightHolder(flight)]).toEqual(['lead', next.id]);
  });

  test('is computed again when the result of its leader is long', async () => {
    const lead = await f.submit({ flight });
    const [taken] = await f.take([lead.id]);
    await f.finish(taken!, { result: JSON.stringify('x'.repeat(140_000)) });
    expect(await f.flightHolder(flight)).toBe(lead.id);
    expect((await f.submit({ flight })).submitted.outcome).toBe('lead');
  });

  test('has followers outside the queue, whose list expires', async () => {
    const lead = await f.submit({ flight });
    const before = await f.live.counts(MODEL);
    const follower = await f.submit({ flight });
    expect(await f.redis.pttl(f.keys.followers(lead.id))).toBeGreaterThan(0);
    await f.live.end(follower.id, { tenant: 'default', status: 'canceled', nowMs: NOW });
    expect(await f.take([follower.id])).toEqual([]);
    expect(await f.live.counts(MODEL)).toEqual(before);
  });

  test('gets a new leader when the job of its leader is gone', async () => {
    const lead = await f.submit({ flight });
    const other = await f.submit({ flight }, { now: NOW + 10_000 });
    expect(other.submitted.outcome).toBe('lead');
    expect(await f.flightHolder(flight)).toBe(other.id);
    expect(other.id).not.toBe(lead.id);
  });

  test('is followed as running while the worker of its leader lives, and gets a new leader when the worker is dead', async () => {
    const lead = await f.submit({ flight });
    await f.beat('alive');
    await f.take([lead.id], { worker: 'alive' });
    const follower = await f.submit({ flight }, { now: NOW + 10_000 });
    expect(follower.submitted.outcome).toBe('follow');
    expect(await f.status(follower.id)).toBe('running');
    await f.redis.del(f.keys.worker(Number.parseInt(lead.id.slice(15, 18), 16), 'alive'));
    expect((await f.submit({ flight }, { now: NOW + 10_000 })).submitted.outcome).toBe('lead');
  });

  test('gets a new leader when the state of its leader is gone', async () => {
    const lead = await f.submit({ flight });
    await f.redis.del(f.keys.live(lead.id));
    expect((await f.submit({ flight })).submitted.outcome).toBe('lead');
  });

  test('gets the result of a leader that has just succeeded at once', async () => {
    const lead = await f.submit({ flight });
    const [taken] = await f.take([lead.id]);
    await f.finish(taken!);
    const late = await f.submit({ flight });
    expect(late.submitted).toEqual({ outcome: 'done' });
    const shared = { status: 'succeeded', result: '{"y":1}', attempts: 1, shared: true };
    expect(await f.live.read(late.id)).toMatchObject(shared);
    expect(await f.redis.pttl(f.keys.flight(Number.parseInt(lead.id.slice(15, 18), 16), flight))).toBeLessThanOrEqual(
      5_000,
    );
  });

  test('gets a new leader when its leader has failed', async () => {
    const lead = await f.submit({ flight });
    const [taken] = await f.take([lead.id]);
    await f.finish(taken!, { status: 'failed', result: '{}' });
    expect(await f.flightHolder(flight)).toBeNull();
    expect((await f.submit({ flight })).submitted.outcome).toBe('lead');
  });
});

test('a result at the submission ends the prediction at once and is published like any other end', async () => {
  await f.events();
  await f.ledger();
  const id = newId();
  expect((await f.submit({ id, known: '{"y":2}' })).submitted).toEqual({ outcome: 'done' });
  expect(await f.live.read(id)).toMatchObject({ status: 'succeeded', result: '{"y":2}', attempts: 0, number: null });
  expect(await f.events()).toEqual([[id, 'succeeded', 0]]);
  expect(await f.ledger()).toEqual([id]);
  expect(await f.live.task(id)).toBeNull();
});

test('a prediction with a cached result does not enter the queue, and has no flight', async () => {
  const before = await f.live.counts(MODEL);
  const { id } = await f.submit({ known: '{"y":2}', flight });
  expect([await f.take([id]), await f.flightHolder(flight)]).toEqual([[], null]);
  expect(await f.live.counts(MODEL)).toEqual(before);
  expect(await f.live.read(id)).toMatchObject({ shared: false });
});

test('each of several cached results reaches its own prediction', async () => {
  const batch = ['1', '2', null, '3'].map((known) => newPrediction({ known }));
  const { items } = await f.live.submit(TARGET, { priority: 'normal', job: 'p-known', nowMs: NOW }, batch);
  expect(items.map(({ outcome }) => outcome)).toEqual(['done', 'done', 'lead', 'done']);
  const states = await f.live.readMany(batch.map(({ id }) => id));
  expect(states.map((state) => [state?.result, state?.task])).toEqual([
    ...[
      ['1', ''],
      ['2', ''],
      ['', '{"rows":["1"]}'],
      ['3', ''],
    ],
  ]);
});
