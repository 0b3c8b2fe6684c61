import { problem } from '@millrace/shared/errors';
import { describe, expect, test } from 'vitest';
import { MODEL, NOW, newId, SHARD, useLive } from './live-fixture.ts';

const f = useLive();

describe('take', () => {
  test('returns the task, marks the prediction as running and counts it out of the queue once', async () => {
    const { id } = await f.submit();
    const before = await f.live.counts(MODEL);
    const [taken] = await f.take([id], { worker: 'w7' });
    expect(taken).toEqual({
      ...{ id, attempt: 1, createdAt: NOW, tenant: 'default', lost: 0, state: expect.any(String) },
      task: '{"rows":["1"]}',
    });
    expect(await f.live.read(id)).toMatchObject({ status: 'running', startedAt: NOW, attempts: 1 });
    expect((await f.take([id]))[0]).toMatchObject({ attempt: 2, lost: 1 });
    expect((await f.live.counts(MODEL)).left[5]).toBe((before.left[5] ?? 0) + 1);
  });

  test('skips unknown predictions, followers and ended predictions', async () => {
    const lead = await f.submit({ flight: 'take-1' });
    const follower = await f.submit({ flight: 'take-1' });
    const canceled = await f.submit();
    await f.live.end(canceled.id, { tenant: 'default', status: 'canceled', nowMs: NOW });
    const taken = await f.take([newId(), follower.id, lead.id, canceled.id]);
    expect(taken.map(({ id }) => id)).toEqual([lead.id]);
    expect(await f.status(follower.id)).toBe('running');
  });

  test('expires a prediction after its deadline, unless it has followers', async () => {
    const alone = await f.submit({ expiresAt: NOW + 10 });
    const lead = await f.submit({ expiresAt: NOW + 10, flight: 'take-2' });
    const follower = await f.submit({ flight: 'take-2' });
    const taken = await f.take([alone.id, lead.id], { now: NOW + 10 });
    expect(taken.map(({ id }) => id)).toEqual([lead.id]);
    expect([await f.status(alone.id), await f.status(lead.id)]).toEqual(['expired', 'expired']);
    expect(await f.finish(taken[0]!, {}, NOW + 20)).toBe('written');
    expect(await f.live.read(follower.id)).toMatchObject({ status: 'succeeded', attempts: 1 });
    expect(await f.live.read(lead.id)).toMatchObject({ status: 'expired' });
  });

  test('fails a prediction that was lost with its workers too often, and its followers', async () => {
    const lead = await f.submit({ flight: 'take-3' });
    const follower = await f.submit({ flight: 'take-3' });
    expect(await f.take([lead.id], { most: 2, worker: 'dead-1' })).toHaveLength(1);
    expect(await f.take([lead.id], { most: 2, worker: 'dead-2' })).toMatchObject([{ attempt: 2, lost: 1 }]);
    expect(await f.take([lead.id], { most: 2, worker: 'w3' })).toHaveLength(0);
    for (const id of [lead.id, follower.id]) {
      const state = await f.live.read(id);
      expect(state?.status).toBe('failed');
      expect(JSON.parse(String(state?.result))).toMatchObject({ code: problem('worker_lost', '').code });
    }
    expect(await f.flightHolder('take-3')).toBeNull();
  });

  test.each([
    ['the same worker', 'w1'],
    ['another worker, while the first lives', 'w2'],
  ])('does not count a returned execution: taken again by %s', async (_, next) => {
    await f.beat('w1');
    await f.beat(next);
    const { id } = await f.submit();
    await f.take([id], { most: 1 });
    for (let attempt = 2; attempt < 6; attempt += 1)
      expect(await f.take([id], { most: 1, worker: next })).toMatchObject([{ attempt, lost: 0 }]);
    expect(await f.live.read(id)).toMatchObject({ status: 'running', attempts: 5 });
    await f.redis.del(f.keys.worker(SHARD, 'w1'), f.keys.worker(SHARD, next));
    expect(await f.take([id], { most: 1, worker: 'w3' })).toHaveLength(0);
    expect(JSON.parse(String((await f.live.read(id))?.result))).toMatchObject({ code: 'worker_lost' });
  });

  test.each([
    ['short', '{"rows":["1"]}', ''],
    ['long', `{"rows":["${'x'.repeat(20_000)}"]}`, ''],
    ['in another script', '{"rows":["薬物相互作用"]}', '{"note":"Ærø – 薬"}'],
    ['beside long metadata', '{"rows":["1"]}', `{"note":"${'é'.repeat(10_000)}"}`],
  ])('returns a task %s, and all other members unchanged', async (_, task, metadata) => {
    const { id } = await f.submit({
      task,
      metadata,
      options: '{"webhook":{}}',
      flight: `whole-${task.length}-${metadata.length}`,
    });
    const whole = { metadata, options: '{"webhook":{}}', createdAt: NOW, expiresAt: NOW + 60_000 };
    expect(await f.live.read(id)).toMatchObject({ ...whole, status: 'queued' });
    const [taken] = await f.take([id]);
    expect(taken).toMatchObject({ id, task, createdAt: NOW, tenant: 'default' });
    expect(await f.live.task(id)).toBe(task);
    const result = JSON.stringify({ said: `ok ${'ü'.repeat(task.length)}` });
    expect(await f.finish(taken!, { result }, NOW + 5)).toBe('written');
    // The end adds the time of the run to the options.
    const ended = { ...whole, options: '{"webhook":{},"batched":0}' };
    expect(await f.live.read(id)).toMatchObject({ ...ended, status: 'succeeded', result, completedAt: NOW + 5 });
    expect((await f.live.readMany([id]))[0]).toMatchObject({ ...ended, result, task: '' });
  });

  test('keeps the task of a failed prediction for a retry', async () => {
    const { id } = await f.submit({ metadata: '{"a":"ä"}' });
    const [taken] = await f.take([id]);
    await f.finish(taken!, { status: 'failed', result: '{"code":"x"}' });
    expect(await f.live.read(id)).toMatchObject({ status: 'failed', result: '{"code":"x"}', metadata: '{"a":"ä"}' });
    expect(await f.live.task(id)).toBe('{"rows":["1"]}');
  });
});

describe('finish', () => {
  test('writes the end once, publishes the end once, and keeps no task of a success', async () => {
    const { id } = await f.submit();
    const [taken] = await f.take([id]);
    await f.events();
    await f.ledger();
    expect(await f.finish(taken!, { inferenceMs: 1.5, batchSize: 3 }, NOW + 5)).toBe('written');
    expect(await f.live.read(id)).toMatchObject({
      ...{ status: 'succeeded', result: '{"y":1}', completedAt: NOW + 5, inferenceMs: 1.5, batchSize: 3 },
    });
    expect(await f.events()).toEqual([[id, 'succeeded', 1]]);
    expect(await f.ledger()).toEqual([id]);
    expect(await f.live.task(id)).toBeNull();
    expect(await f.finish(taken!, { result: '"again"' })).toBe('cancelled');
    expect((await f.live.read(id))?.result).toBe('{"y":1}');
    expect(await f.events()).toEqual([]);
  });

  test('refuses the result of an earlier attempt', async () => {
    const { id } = await f.submit();
    const [stale] = await f.take([id], { worker: 'paused' });
    const [fresh] = await f.take([id], { worker: 'other' });
    expect(await f.finish(stale!, { result: '"stale"' })).toBe('fenced');
    expect(await f.status(id)).toBe('running');
    expect(await f.finish(fresh!)).toBe('written');
    expect(await f.finish(stale!, { result: '"stale"' })).toBe('fenced');
    expect((await f.live.read(id))?.result).toBe('{"y":1}');
  });

  test('refuses results of unknown and queued predictions', async () => {
    const { id } = await f.submit();
    expect(await f.finish({ id, attempt: 0 })).toBe('fenced');
    expect(await f.finish({ id: newId(), attempt: 1 })).toBe('fenced');
  });

  test('discards the result of a canceled prediction', async () => {
    const { id } = await f.submit();
    const [taken] = await f.take([id]);
    await f.live.end(id, { tenant: 'default', status: 'canceled', nowMs: NOW });
    expect(await f.finish(taken!)).toBe('cancelled');
    expect(await f.live.read(id)).toMatchObject({ status: 'canceled' });
  });

  test('after the deadline ends the leader as expired and gives the followers their result', async () => {
    const lead = await f.submit({ flight: 'finish-1', expiresAt: NOW + 10 });
    const follower = await f.submit({ flight: 'finish-1' });
    const short = await f.submit({ flight: 'finish-1', expiresAt: NOW + 15 });
    const [taken] = await f.take([lead.id]);
    expect(await f.finish(taken!, {}, NOW + 20)).toBe('written');
    expect([await f.status(lead.id), await f.status(follower.id), await f.status(short.id)]).toEqual([
      'expired',
      'succeeded',
      'expired',
    ]);
    expect(await f.flightHolder('finish-1')).toBeNull();
  });

  test('ends a thousand followers and publishes each end', async () => {
    const lead = await f.submit({ flight: 'finish-2' });
    const followers = await Promise.all(Array.from({ length: 1_000 }, () => f.submit({ flight: 'finish-2' })));
    const [taken] = await f.take([lead.id]);
    await f.ledger();
    expect(await f.finish(taken!)).toBe('written');
    expect(new Set(await f.ledger())).toEqual(new Set([lead, ...followers].map(({ id }) => id)));
    expect(await f.status(followers[999]!.id)).toBe('succeeded');
  });

  test('a worker that dies between two runs loses no follower: the next worker of the job continues', async () => {
    const flight = 'finish-killed';
    const lead = await f.submit({ flight });
    const ended = await f.submit({ flight });
    const left = await f.submit({ flight });
    const [taken] = await f.take([lead.id]);
    // The state after a first run: one follower has not ended yet.
    await f.redis.srem(f.keys.followers(lead.id), left.id);
    await f.finish(taken!, { result: '{"y":7}' });
    await f.redis.sadd(f.keys.followers(lead.id), left.id);
    expect([await f.status(ended.id), await f.status(left.id)]).toEqual(['succeeded', 'running']);
    expect(await f.take([lead.id], { worker: 'w2' })).toEqual([]);
    expect(await f.live.read(left.id)).toMatchObject({ status: 'succeeded', result: '{"y":7}' });
  });
});
