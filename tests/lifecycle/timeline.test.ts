/** The facts for a timeline in the live state: which worker ran which attempt, and when. */
import { timelineFactsOf } from '@millrace/shared/predictions/prediction-state';
import { expect, test } from 'vitest';
import { NOW, useLive } from './live-fixture.ts';

const f = useLive();
const factsOf = async (id: string) => {
  const state = await f.live.read(id);
  return state && timelineFactsOf(state);
};

test('a success has the worker, the entry into the queue and the time of the run', async () => {
  const { id } = await f.submit({ createdAt: NOW - 40 });
  expect(await factsOf(id)).toEqual({ workerId: null, queuedAt: NOW, batchedAt: null, earlierAttempts: null });
  const [taken] = await f.take([id], { now: NOW + 5 });
  expect(await factsOf(id)).toMatchObject({ workerId: 'w1', queuedAt: NOW, batchedAt: null });
  await f.finish(taken!, { startedAt: NOW + 5, batchedAt: NOW + 8 }, NOW + 20);
  expect(await factsOf(id)).toEqual({ workerId: 'w1', queuedAt: NOW, batchedAt: NOW + 8, earlierAttempts: null });
});

test('a prediction with options of its own keeps them', async () => {
  const options = { webhook: { url: 'https://example.com/"batched":1,"past":[[' }, rows: 3 };
  const { id } = await f.submit({ createdAt: NOW - 3, options: JSON.stringify(options) });
  const [taken] = await f.take([id]);
  await f.finish(taken!, { startedAt: NOW, batchedAt: NOW + 2 });
  const state = await f.live.read(id);
  expect(JSON.parse(state?.options ?? '')).toEqual({ ...options, queued: 3, batched: 2 });
});

test('the attempt of a worker that died stays, with its worker and its time', async () => {
  const { id } = await f.submit();
  await f.take([id], { worker: 'first', now: NOW + 10 });
  const [again] = await f.take([id], { worker: 'second', now: NOW + 20 });
  expect(again).toMatchObject({ attempt: 2, lost: 1 });
  expect(await factsOf(id)).toMatchObject({ workerId: 'second', earlierAttempts: `[[1,"first",${NOW + 10}]]` });
  await f.finish(again!, { startedAt: NOW + 20, batchedAt: NOW + 21 }, NOW + 30);
  expect(await factsOf(id)).toMatchObject({ batchedAt: NOW + 21, earlierAttempts: `[[1,"first",${NOW + 10}]]` });
});

test('a prediction that was lost too often has all its attempts', async () => {
  const { id } = await f.submit();
  await f.take([id], { worker: 'first', now: NOW + 10 });
  await f.take([id], { worker: 'second', now: NOW + 20 });
  expect(await f.take([id], { worker: 'third', now: NOW + 30, most: 2 })).toEqual([]);
  expect(await f.status(id)).toBe('failed');
  const earlierAttempts = `[[1,"first",${NOW + 10}],[2,"second",${NOW + 20}]]`;
  expect(await factsOf(id)).toMatchObject({ batchedAt: null, earlierAttempts });
});

test('a retry keeps the attempt that failed, and enters the queue again', async () => {
  const { id } = await f.submit({ options: '{"rows":2}' });
  const [taken] = await f.take([id], { now: NOW + 5 });
  await f.finish(taken!, { status: 'failed', result: '{}', startedAt: NOW + 5, batchedAt: NOW + 6 }, NOW + 9);
  expect(await factsOf(id)).toMatchObject({ batchedAt: NOW + 6, earlierAttempts: null });
  const retry = { id, tenant: 'default', job: `p-${id}-1`, opening: 1, expiresAt: null };
  expect(await f.live.retry({ ...retry, nowMs: NOW + 50 })).toEqual({ outcome: 'queued' });
  const earlierAttempts = `[[1,"w1",${NOW + 5}]]`;
  expect(await factsOf(id)).toEqual({ workerId: null, queuedAt: NOW + 50, batchedAt: null, earlierAttempts });
  const [again] = await f.take([id], { now: NOW + 60 });
  await f.finish(again!, { startedAt: NOW + 60, batchedAt: NOW + 64 }, NOW + 70);
  expect(await factsOf(id)).toEqual({ workerId: 'w1', queuedAt: NOW + 50, batchedAt: NOW + 64, earlierAttempts });
  expect(JSON.parse((await f.live.read(id))?.options ?? '')).toMatchObject({ rows: 2, queued: 50, batched: 4 });
});

const reopen = (id: string, opening: number) =>
  f.live.retry({ id, tenant: 'default', job: `p-${id}-${opening}`, opening, expiresAt: null, nowMs: NOW + 50 });

test('a retry of a prediction that never ran keeps no attempt, and replaces the time of the entry into the queue', async () => {
  const { id } = await f.submit({ createdAt: NOW - 40 });
  await f.live.end(id, { tenant: 'default', status: 'canceled', nowMs: NOW });
  expect(await reopen(id, 1)).toEqual({ outcome: 'queued' });
  expect(JSON.parse((await f.live.read(id))?.options ?? '')).toEqual({ queued: 90 });
});

test('a retry of a prediction that was lost too often keeps each attempt once', async () => {
  const { id } = await f.submit();
  for (const worker of ['first', 'second', 'third']) await f.take([id], { worker, now: NOW + 10, most: 2 });
  expect(await f.status(id)).toBe('failed');
  await reopen(id, 1);
  const earlierAttempts = `[[1,"first",${NOW + 10}],[2,"second",${NOW + 10}]]`;
  expect(await factsOf(id)).toMatchObject({ earlierAttempts });
});

test('a retry of a follower that Redis had lost keeps no attempt without a worker', async () => {
  const flight = 'e'.repeat(64);
  const lead = await f.submit({ flight });
  await f.beat('w1');
  await f.take([lead.id]);
  const { id } = await f.submit({ flight, attempts: 3 });
  expect(await f.live.read(id)).toMatchObject({ status: 'running', attempts: 3, workerId: null });
  await f.live.end(id, { tenant: 'default', status: 'canceled', nowMs: NOW });
  await reopen(id, 1);
  expect(await factsOf(id)).toMatchObject({ earlierAttempts: null });
});

test('at most twenty attempts are kept', async () => {
  const { id } = await f.submit();
  for (let n = 1; n <= 25; n += 1) {
    await f.take([id], { worker: `w${n}`, now: NOW + n, most: 100 });
  }
  const facts = await factsOf(id);
  const earlier: unknown[] = JSON.parse(facts?.earlierAttempts ?? '[]');
  expect(earlier).toHaveLength(20);
  expect(earlier[0]).toEqual([5, 'w5', NOW + 5]);
  expect(earlier.at(-1)).toEqual([24, 'w24', NOW + 24]);
});

test('a follower has the worker and the run of its leader', async () => {
  const flight = 'f'.repeat(64);
  const { id } = await f.submit({ flight });
  const follower = await f.submit({ flight, createdAt: NOW - 7 });
  expect(follower.submitted.outcome).toBe('follow');
  const [taken] = await f.take([id], { now: NOW + 5 });
  await f.finish(taken!, { startedAt: NOW + 5, batchedAt: NOW + 9 }, NOW + 12);
  const run = { workerId: 'w1', batchedAt: NOW + 9, earlierAttempts: null };
  expect(await factsOf(follower.id)).toEqual({ ...run, queuedAt: NOW });
  const late = await f.submit({ flight });
  expect(late.submitted.outcome).toBe('done');
  expect(await factsOf(late.id)).toMatchObject(run);
});

test('a prediction whose result was cached did not enter the queue', async () => {
  const { id } = await f.submit({ known: '{"y":1}', createdAt: NOW - 5 });
  expect(await factsOf(id)).toEqual({ workerId: null, queuedAt: null, batchedAt: null, earlierAttempts: null });
});
