import { beforeEach, describe, expect, test } from 'vitest';
import { MODEL, NOW, newId, newPrediction, TARGET, useLive } from './live-fixture.ts';

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
});

test('submitting the same prediction again changes nothing', async () => {
  const { id } = await f.submit();
  const [taken] = await f.take([id]);
  expect((await f.submit({ id, task: 'other' })).submitted).toEqual({ outcome: 'exists', status: 'running' });
  expect(await f.live.task(id)).toBe('{"rows":["1"]}');
  expect(await f.finish(taken!)).toBe('written');
  expect((await f.submit({ id })).submitted).toEqual({ outcome: 'exists', status: 'succeeded' });
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
    expect(await f.live.read(late.id)).toMatchObject({ status: 'succeeded', result: '{"y":1}', attempts: 1 });
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
