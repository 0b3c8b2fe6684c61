/** Tests that an API process without waiting callers pauses its reads of events, and that the pause loses and delays no end. */

import { endOfTurn } from '@millrace/shared/process/turn';
import { pino } from 'pino';
import { afterEach, expect, test, vi } from 'vitest';
import { type CompletedEnd, CompletionListener } from '../../apps/api/src/queue/completion-listener.ts';
import { connectTestRedis } from '../support/test-redis.ts';
import { SHARD, useLive } from './live-fixture.ts';

const f = useLive();
/** Longer than the time limit of a test. */
const NEVER_MS = 600_000;
const opened: CompletionListener[] = [];

afterEach(async () => {
  await Promise.all(opened.splice(0).map((completions) => completions.close()));
  vi.restoreAllMocks();
});

/** A listener that reads the shard, and its reads of the stream. No state is read again, so that only events end a wait. */
async function listen(unreadMs: number) {
  vi.spyOn(f.live, 'read').mockResolvedValue(null);
  const connection = connectTestRedis();
  const reads = vi.spyOn(connection, 'xread');
  const completions = new CompletionListener({
    live: f.live,
    withOutput: async (state) => state,
    keys: f.keys,
    connect: () => connection,
    findEnded: async () => undefined,
    findRecorded: async () => [],
    unreadMs,
    log: pino({ level: 'silent' }),
  });
  opened.push(completions);
  await completions.listen(SHARD);
  const wait = (id: string) =>
    new Promise<CompletedEnd | null>((resolve) => {
      completions.register({ id, waitMs: NEVER_MS, signal: undefined, onCompleted: resolve });
    });
  return { completions, reads, wait };
}

async function begin(): Promise<{ id: string; finish(): Promise<unknown> }> {
  const { id } = await f.submit();
  const [taken] = await f.take([id]);
  return { id, finish: () => f.finish(taken ?? { id, attempt: 1 }) };
}

test('without a waiter no event is read, and the next waiter gets also the end of the pause', async () => {
  const { completions, reads, wait } = await listen(NEVER_MS);
  const [first, second, third] = [await begin(), await begin(), await begin()];
  const waiting = wait(first.id);
  await first.finish();
  expect((await waiting)?.status).toBe('succeeded');
  await endOfTurn();
  const before = reads.mock.calls.length;
  await second.finish();
  await f.redis.ping();
  expect(reads).toHaveBeenCalledTimes(before);

  const both = [wait(second.id), wait(third.id)];
  expect((await both[0])?.status).toBe('succeeded');
  await third.finish();
  expect((await both[1])?.status).toBe('succeeded');

  await endOfTurn();
  const last = reads.mock.calls.length;
  await completions.close();
  await endOfTurn();
  expect(reads).toHaveBeenCalledTimes(last);
});

test('a read begins after the pause without a waiter', async () => {
  const { reads, wait } = await listen(5);
  const { id, finish } = await begin();
  const waiting = wait(id);
  await finish();
  await waiting;
  const before = reads.mock.calls.length;
  await vi.waitUntil(() => reads.mock.calls.length > before, { timeout: 60_000, interval: 2 });
});
