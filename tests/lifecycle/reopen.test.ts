import type { OpenRow } from '@millrace/shared/live/store';
import { describe, expect, test } from 'vitest';
import { NOW, newId, useLive } from './live-fixture.ts';

const f = useLive();
const id2 = newId();
const cancel = (id: string) => f.live.end(id, { tenant: 'default', status: 'canceled', nowMs: NOW });
const retry = (id: string, opening = 1, tenant = 'default') =>
  f.live.retry({ id, tenant, job: `p-${id}-1`, opening, expiresAt: NOW + 99_000, nowMs: NOW + 1 });

describe('retry', () => {
  test('reopens a failed prediction under the same id and continues its attempts', async () => {
    const { id } = await f.submit();
    const [first] = await f.take([id]);
    await f.finish(first!, { status: 'failed', result: '{}' });
    expect(await retry(id)).toEqual({ outcome: 'queued' });
    expect(await f.live.read(id)).toMatchObject({
      ...{
        status: 'queued',
        attempts: 1,
        opening: 1,
        createdAt: NOW,
        result: '',
        startedAt: null,
        completedAt: null,
        expiresAt: NOW + 99_000,
      },
    });
    const [second] = await f.take([id]);
    expect(second).toMatchObject({ attempt: 2, lost: 0 });
    expect(await f.finish(first!)).toBe('fenced');
    expect(await f.finish(second!)).toBe('written');
  });

  test('enters the queue again, and leaves the queue with its next attempt', async () => {
    const { id } = await f.submit();
    await f.take([id]);
    await cancel(id);
    const before = await f.live.counts('m');
    await retry(id);
    await f.take([id]);
    const { entered, left } = await f.live.counts('m');
    expect([entered[5], left[5]]).toEqual([(before.entered[5] ?? 0) + 1, (before.left[5] ?? 0) + 1]);
  });

  test('is refused for a success, for an open prediction and for other tenants', async () => {
    const { id } = await f.submit();
    expect(await retry(id)).toEqual({ outcome: 'refused', status: 'queued' });
    const [taken] = await f.take([id]);
    await f.finish(taken!);
    expect(await retry(id)).toEqual({ outcome: 'refused', status: 'succeeded' });
    expect(await retry(id, 1, 'stranger')).toEqual({ outcome: 'gone' });
    expect(await retry(newId())).toEqual({ outcome: 'gone' });
  });

  test('of a leader whose computation continues for followers joins the computation again', async () => {
    const lead = await f.submit({ flight: 'retry-1' });
    const follower = await f.submit({ flight: 'retry-1' });
    const [taken] = await f.take([lead.id]);
    await cancel(lead.id);
    expect(await retry(lead.id)).toEqual({ outcome: 'attached' });
    expect(await f.live.read(lead.id)).toMatchObject({ status: 'running', runsForFollowers: false });
    expect(await f.finish(taken!)).toBe('written');
    expect([await f.status(lead.id), await f.status(follower.id)]).toEqual(['succeeded', 'succeeded']);
  });

  test('of a follower starts its own computation', async () => {
    const lead = await f.submit({ flight: 'retry-2' });
    const follower = await f.submit({ flight: 'retry-2' });
    await cancel(follower.id);
    expect(await retry(follower.id)).toEqual({ outcome: 'queued' });
    const taken = await f.take([lead.id, follower.id]);
    expect(taken.map(({ id }) => id)).toEqual([lead.id, follower.id]);
    await f.finish(taken[0]!);
    expect(await f.status(follower.id)).toBe('running');
    expect(await f.finish(taken[1]!)).toBe('written');
  });

  test('opens a prediction once under one number, and again under the next number', async () => {
    const { id } = await f.submit();
    await cancel(id);
    expect(await retry(id)).toEqual({ outcome: 'queued' });
    expect(await retry(id)).toEqual({ outcome: 'reopened', status: 'queued' });
    await cancel(id);
    expect(await retry(id)).toEqual({ outcome: 'reopened', status: 'canceled' });
    expect(await retry(id, 12)).toEqual({ outcome: 'queued' });
    const [taken] = await f.take([id]);
    expect(taken).toMatchObject({ createdAt: NOW, attempt: 1 });
    await f.ledger();
    await f.finish(taken!);
    expect(await f.live.read(id)).toMatchObject({ status: 'succeeded', opening: 12, createdAt: NOW });
  });

  test('runs with its own job, and not with a waiting job of an earlier opening', async () => {
    const { id } = await f.submit();
    await cancel(id);
    await retry(id);
    const first = [`p-${id}`];
    expect(await f.take([id], { jobs: first })).toEqual([]);
    expect(await f.live.read(id)).toMatchObject({ status: 'queued', attempts: 0 });
    const [taken] = await f.take([id], { worker: 'w2', jobs: [`p-${id}-1`] });
    expect(taken).toMatchObject({ attempt: 1 });
    expect(await f.take([id], { jobs: first })).toEqual([]);
    expect(await f.finish(taken!)).toBe('written');
  });

  test('runs with its own job when Redis had lost the prediction and both jobs arrive together', async () => {
    const { id } = await f.submit({ opening: 2 }, { job: `p-${id2}-7` });
    const taken = await f.take([id, id, id], { jobs: [`p-${id}`, `p-${id2}-7`, `p-${id}-1`] });
    expect(taken.map(({ attempt }) => attempt)).toEqual([1]);
  });

  test('of a leader whose computation continues for followers runs with the job of the computation', async () => {
    const lead = await f.submit({ flight: 'retry-3' });
    await f.submit({ flight: 'retry-3' });
    await cancel(lead.id);
    expect(await retry(lead.id)).toEqual({ outcome: 'attached' });
    expect(await f.take([lead.id], { jobs: [`p-${lead.id}`] })).toHaveLength(1);
  });

  test('finds nothing when the state has no task to run', async () => {
    const { id } = await f.submit({ task: '' });
    await cancel(id);
    expect(await retry(id)).toEqual({ outcome: 'gone' });
    expect(await f.status(id)).toBe('canceled');
  });

  test('finds nothing when Redis has lost the prediction', async () => {
    const { id } = await f.submit();
    await cancel(id);
    await f.redis.del(f.keys.live(id));
    expect(await retry(id)).toEqual({ outcome: 'gone' });
  });
});

describe('adopt', () => {
  const adopt = (id: string, given: Partial<OpenRow> = {}) =>
    f.live.adopt(
      { id, model: 'm', opening: 0, supersededAt: null, expiresAt: null, ...given },
      { job: `p-${id}-9`, nowMs: NOW },
    );

  test('leaves a prediction with a job alone', async () => {
    const { id } = await f.submit();
    await f.addJob(`p-${id}`);
    expect(await adopt(id)).toEqual({ outcome: 'carried' });
  });

  test('gives a job to a prediction without a job, running or not', async () => {
    const { id } = await f.submit();
    await f.take([id]);
    expect(await adopt(id)).toEqual({ outcome: 'adopted', priority: 5 });
    expect((await f.live.read(id))?.job).toBe(`p-${id}-9`);
  });

  test('gives a job to a prediction whose job has failed', async () => {
    const { id } = await f.submit();
    await f.addJob(`p-${id}`, { name: 'predict', finishedOn: String(NOW), failedReason: 'the lock was lost' });
    expect((await adopt(id)).outcome).toBe('adopted');
  });

  test('makes a follower a leader when its leader has no job any more', async () => {
    const lead = await f.submit({ flight: 'adopt-1' });
    const follower = await f.submit({ flight: 'adopt-1' });
    await f.addJob(`p-${lead.id}`);
    expect(await adopt(follower.id)).toEqual({ outcome: 'carried' });
    await f.redis.del(f.keys.live(lead.id));
    expect((await adopt(follower.id)).outcome).toBe('adopted');
    expect(await f.take([follower.id])).toHaveLength(1);
  });

  test('gives a leader a job with the priority of its most urgent follower', async () => {
    const lead = await f.submit({ flight: 'adopt-2' });
    await f.submit({ flight: 'adopt-2' }, { priority: 'low' });
    await f.submit({ flight: 'adopt-2' }, { priority: 'high' });
    expect(await adopt(lead.id)).toEqual({ outcome: 'adopted', priority: 1 });
    expect((await f.live.read(lead.id))?.priority).toBe(5);
  });

  test('gives a leader a job with its own priority while its followers are less urgent or gone', async () => {
    const lead = await f.submit({ flight: 'adopt-3' });
    await f.submit({ flight: 'adopt-3' }, { priority: 'low' });
    const gone = await f.submit({ flight: 'adopt-3' }, { priority: 'high' });
    await f.redis.del(f.keys.live(gone.id));
    expect(await adopt(lead.id)).toEqual({ outcome: 'adopted', priority: 5 });
  });

  test('sends an ended prediction to the recorder again, and reports unknown predictions as gone', async () => {
    const { id } = await f.submit();
    await cancel(id);
    await f.ledger();
    expect(await adopt(id)).toEqual({ outcome: 'terminal' });
    expect(await f.ledger()).toEqual([id]);
    expect(await adopt(newId())).toEqual({ outcome: 'gone' });
    const row = { id, model: 'm', opening: 0, supersededAt: null, expiresAt: null };
    expect(await f.live.adopt(row, { job: `p-${id}-9`, nowMs: NOW, announce: false })).toEqual({ outcome: 'terminal' });
    expect(await f.ledger()).toEqual([]);
  });

  describe('of a prediction with a later opening in the ledger', () => {
    const row = { opening: 1, supersededAt: NOW, expiresAt: NOW + 77_000 };

    test('reopens the prediction when the retry did not reach Redis', async () => {
      const { id } = await f.submit();
      await cancel(id);
      expect(await adopt(id, row)).toEqual({ outcome: 'adopted', priority: 5 });
      const opened = { status: 'queued', opening: 1, job: `p-${id}-9`, expiresAt: NOW + 77_000, completedAt: null };
      expect(await f.live.read(id)).toMatchObject(opened);
      expect(await f.take([id])).toHaveLength(1);
    });

    test('assigns the number when a process without numbers restored the prediction, and accepts its end', async () => {
      const { id } = await f.submit();
      await f.addJob(`p-${id}`);
      expect(await adopt(id, row)).toEqual({ outcome: 'carried' });
      expect(await f.live.read(id)).toMatchObject({ status: 'queued', opening: 1 });
      const other = await f.submit();
      await f.live.end(other.id, { tenant: 'default', status: 'canceled', nowMs: NOW + 1 });
      await f.ledger();
      expect(await adopt(other.id, row)).toEqual({ outcome: 'terminal' });
      expect(await f.live.read(other.id)).toMatchObject({ status: 'canceled', opening: 1 });
      expect(await f.redis.pttl(f.keys.live(other.id))).toBeGreaterThan(0);
      expect(await f.ledger()).toEqual([other.id]);
    });

    test('leaves a success unchanged', async () => {
      const { id } = await f.submit();
      const [taken] = await f.take([id]);
      await f.finish(taken!);
      expect(await adopt(id, row)).toEqual({ outcome: 'terminal' });
      expect(await f.live.read(id)).toMatchObject({ status: 'succeeded', opening: 1 });
    });

    test('reopens the prediction when a process without numbers retried it only in the ledger', async () => {
      const { id } = await f.submit();
      await cancel(id);
      expect(await adopt(id, { ...row, opening: 0 })).toEqual({ outcome: 'adopted', priority: 5 });
      expect(await f.live.read(id)).toMatchObject({ status: 'queued', opening: 0 });
      // Opening 0 has no number, as in the states of 0.1.0.
      expect((await f.redis.get(f.keys.live(id)))?.split('\x1f')[1]).toBe(String(NOW));
    });
  });
});

test('a prediction that is restored from the ledger keeps its attempts and its opening, and its lost attempts do not count', async () => {
  const { id } = await f.submit({ attempts: 3, opening: 2 });
  expect(await f.live.read(id)).toMatchObject({ createdAt: NOW, opening: 2 });
  expect((await f.take([id], { most: 1 }))[0]).toMatchObject({ attempt: 4, lost: 0, createdAt: NOW });
});
