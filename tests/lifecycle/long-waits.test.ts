/** Tests which states a waiting API process reads again: a long result once, also if the read takes longer than a round, and no open state. */
import { LongText } from '@millrace/shared/predictions/long-text';
import { pino } from 'pino';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { type CompletedEnd, CompletionListener } from '../../apps/api/src/queue/completion-listener.ts';
import { connectTestRedis } from '../support/test-redis.ts';
import { SHARD, useLive } from './live-fixture.ts';

const f = useLive();
const result = new LongText(Array.from({ length: 4 }, () => Buffer.alloc(65_536, '1')));
let completions: CompletionListener;

beforeAll(() => {
  completions = new CompletionListener({
    live: f.live,
    withOutput: async (state) => state,
    keys: f.keys,
    connect: () => connectTestRedis(),
    findEnded: async () => undefined,
    findRecorded: async () => [],
    log: pino({ level: 'silent' }),
  });
});
afterAll(() => completions.close());

const onCompleted = (): void => {};

test('a long result whose read takes longer than a round is read once', async () => {
  await completions.listen(SHARD);
  const [{ id }, { id: other }] = [await f.submit(), await f.submit()];
  const [taken] = await f.take([id]);
  const gate = Promise.withResolvers<void>();
  const read = f.live.read.bind(f.live);
  const ends: string[] = [];
  let rounds = 0;
  const openReads: string[] = [];
  const areOpen = f.live.areOpen.bind(f.live);
  const looks = vi.spyOn(f.live, 'areOpen').mockImplementation(async (ids) => {
    const open = await areOpen(ids);
    if (open[ids.indexOf(other)]) rounds += 1;
    return open;
  });
  const reads = vi.spyOn(f.live, 'read').mockImplementation(async (one) => {
    const state = await read(one);
    if (one === other) openReads.push(one);
    if (state?.status !== 'succeeded') return state;
    ends.push(one);
    await gate.promise;
    return state;
  });
  // The other prediction waits until the end of the test: each round looks at its status.
  const waiter = completions.register({ id: other, waitMs: 120_000, signal: undefined, onCompleted });
  await expect.poll(() => rounds, { interval: 10 }).toBeGreaterThan(0);
  const { promise, resolve } = Promise.withResolvers<CompletedEnd | null>();
  completions.register({ id, waitMs: 120_000, signal: undefined, onCompleted: resolve });
  await f.finish(taken ?? { id, attempt: 1 }, { result });
  await expect.poll(() => ends, { interval: 10 }).toEqual([id]);
  const before = rounds;
  // The first of these rounds can have begun before the wait was a second old.
  await expect.poll(() => rounds, { interval: 10 }).toBeGreaterThanOrEqual(before + 3);
  expect(ends).toEqual([id]);
  gate.resolve();
  const end = await promise;
  expect([end?.status, String(end?.result) === String(result)]).toEqual(['succeeded', true]);
  expect(openReads).toEqual([]);
  completions.forget(waiter);
  reads.mockRestore();
  looks.mockRestore();
});
