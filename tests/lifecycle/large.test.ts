/** Tests that long results and long tasks are stored completely, and that no small command waits behind them. */
import { LiveStore } from '@millrace/shared/live/store';
import type { Connection } from '@millrace/shared/redis/connection';
import type { Command } from 'ioredis';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { connectTestRedis, keysOf } from '../support/test-redis.ts';
import { NOW, newPrediction, SHARD, TARGET, useLive } from './live-fixture.ts';

const f = useLive();
const MIB = 1_048_576;
const long = (characters: number): string => JSON.stringify('x'.repeat(characters));
const END = { status: 'succeeded', startedAt: NOW, batchedAt: NOW, inferenceMs: 1, batchSize: 2 } as const;
let large: Connection;
let live: LiveStore;

beforeAll(() => {
  large = connectTestRedis();
  live = new LiveStore(f.redis, f.keys, { large });
});
afterAll(() => large.disconnect());

/** Keys of long results that were not renamed to their final key. */
const leftOf = (id: string): Promise<string[]> => keysOf(f.redis, f.keys.written(id, ''));

interface Sender {
  sendCommand(command: Command, ...rest: unknown[]): unknown;
}

/** Names of the commands that a connection sends while `work` runs. */
async function commandsOf(connection: Sender, work: () => Promise<unknown>): Promise<string[]> {
  const names: string[] = [];
  const send = connection.sendCommand.bind(connection);
  connection.sendCommand = (command, ...rest) => {
    names.push(command.name);
    return send(command, ...rest);
  };
  try {
    await work();
  } finally {
    connection.sendCommand = send;
  }
  return names;
}

async function taken(given = {}) {
  const { id } = await f.submit(given);
  const [one] = await f.take([id]);
  if (!one) throw new Error('the prediction was not taken');
  return one;
}

describe('a long result', () => {
  const OF = { metadata: '{"größe":1}', options: '{"webhook":{"url":"https://a.example/"}}' };

  test('is written without a script, and equals the state that finish.lua writes', async () => {
    const [short, plain] = [
      await taken({ ...OF, flight: 'a'.repeat(64) }),
      await taken({ ...OF, flight: 'b'.repeat(64) }),
    ];
    const result = long(MIB);
    await f.events();
    // Without the taken state, finish.lua writes the end of a short result.
    const { id, attempt } = short;
    expect(
      await live.finish(SHARD, [{ id, attempt, result: long(100_000), ...END }], { worker: 'w1', nowMs: NOW }),
    ).toEqual(['written']);
    const byScript = { ...(await live.readWhole(id)), result: expect.anything() };
    const sent = await commandsOf(large, () =>
      live.finish(SHARD, [{ ...plain, result, ...END }], { worker: 'w1', nowMs: NOW }),
    );
    expect(sent.map((name) => name.toLowerCase()).slice(0, 2)).toEqual(['set', 'append']);
    const state = await live.readWhole(plain.id);
    const of = { id: plain.id, number: expect.any(Number), job: `p-${plain.id}`, task: '' };
    expect(state).toEqual({ ...byScript, ...of });
    expect(String(state?.result)).toBe(result);
    expect(await f.events()).toEqual([
      [id, 'succeeded', 1],
      [plain.id, 'succeeded', 1],
    ]);
    expect(await f.ledger()).toEqual(expect.arrayContaining([id, plain.id]));
    const key = f.keys.live(plain.id);
    expect(Math.abs((await f.redis.pttl(key)) - (await f.redis.pttl(f.keys.live(id))))).toBeLessThan(60_000);
    expect(await leftOf(plain.id)).toEqual([]);
  });

  test('of an earlier attempt is refused and leaves no data behind', async () => {
    const one = await taken();
    await f.take([one.id], { worker: 'w2' });
    const verdicts = await live.finish(SHARD, [{ ...one, result: long(MIB), ...END }], { worker: 'w1', nowMs: NOW });
    expect(verdicts).toEqual(['fenced']);
    expect(await f.status(one.id)).toBe('running');
    expect(await leftOf(one.id)).toEqual([]);
  });

  test('of a prediction that was canceled meanwhile is discarded', async () => {
    const one = await taken();
    await live.end(one.id, { tenant: 'default', status: 'canceled', nowMs: NOW });
    expect(await live.finish(SHARD, [{ ...one, result: long(MIB), ...END }], { worker: 'w1', nowMs: NOW })).toEqual([
      'cancelled',
    ]);
    expect(await f.status(one.id)).toBe('canceled');
  });

  test('reaches the followers that joined meanwhile', async () => {
    const one = await taken({ flight: 'c'.repeat(64) });
    await f.beat('w1');
    const follower = await f.submit({ flight: 'c'.repeat(64) });
    expect(follower.submitted.outcome).toBe('follow');
    const result = long(MIB);
    expect(await live.finish(SHARD, [{ ...one, result, ...END }], { worker: 'w1', nowMs: NOW })).toEqual(['written']);
    expect(String((await live.read(follower.id))?.result)).toBe(result);
  });

  test('among short results has its outcome at its own position', async () => {
    const ones = [await taken(), await taken(), await taken(), await taken()];
    await live.end((ones[3] as { id: string }).id, { tenant: 'default', status: 'canceled', nowMs: NOW });
    const items = ones.map((one, at) => ({ ...one, result: at === 1 ? long(MIB) : '1', ...END }));
    expect(await live.finish(SHARD, items, { worker: 'w1', nowMs: NOW })).toEqual([
      'written',
      'written',
      'written',
      'cancelled',
    ]);
  });
});

describe('beside a long result', () => {
  test('other calls get their replies while the result is written and read', async () => {
    const other = await f.submit();
    const one = await taken();
    const done: string[] = [];
    const note = (name: string) => () => void done.push(name);
    const finishing = live
      .finish(SHARD, [{ ...one, result: long(21 * MIB), ...END }], { worker: 'w1', nowMs: NOW })
      .then(note('finish'));
    await live.read(other.id).then(note('read'));
    await finishing;
    const reading = live.read(one.id).then(note('long read'));
    // The first bytes show that the result is long.
    await live.heads([one.id]).then(note('heads'));
    await live.read(other.id).then(note('read'));
    await reading;
    expect(done).toEqual(['read', 'finish', 'heads', 'read', 'long read']);
  });

  test('the connection for small commands carries no long result', async () => {
    const one = await taken();
    const item = { ...one, result: long(MIB), ...END };
    expect(await commandsOf(f.redis, () => live.finish(SHARD, [item], { worker: 'w1', nowMs: NOW }))).toEqual([]);
    const reads = await commandsOf(f.redis, () => live.read(one.id));
    expect(reads).toEqual(['getrange', 'getrange']);
    expect(await commandsOf(f.redis, () => live.readMany([one.id], { large: true }))).toEqual([]);
  });
});

describe('long tasks', () => {
  const COUNT = 12;
  const task = JSON.stringify({ shape: 'one', rows: ['y'.repeat(MIB / 3)], keys: [null], digest: 'd', epoch: 0 });

  test('are all submitted and taken, about one megabyte at a time', async () => {
    const items = Array.from({ length: COUNT }, () => newPrediction({ task }));
    expect(live.sendsLarge(items)).toBe(true);
    expect(live.sendsLarge([newPrediction()])).toBe(false);
    const scripts = await commandsOf(large, () =>
      live.submit(TARGET, { priority: 'normal', job: 'p-long', nowMs: NOW }, items),
    );
    expect(scripts.filter((name) => name === 'evalsha').length).toBeGreaterThanOrEqual(COUNT / 3);
    const ids = items.map(({ id }) => id);
    const results: string[] = [];
    const takes = await commandsOf(f.redis, async () => {
      for (const one of await live.take(SHARD, ids, { worker: 'w1', maxAttempts: 4, nowMs: NOW })) results.push(one.id);
    });
    expect(results.sort()).toEqual([...ids].sort());
    expect(takes.length).toBeGreaterThanOrEqual(COUNT / 5);
  });

  test('are numbered in the order of submission', async () => {
    const items = Array.from({ length: COUNT }, () => newPrediction({ task }));
    const { items: submitted, counts } = await live.submit(
      TARGET,
      { priority: 'normal', job: 'p-order', nowMs: NOW },
      items,
    );
    const numbers = submitted.map((one) => (one.outcome === 'lead' ? one.number : 0));
    expect(numbers).toEqual(numbers.map((_, at) => (numbers[0] as number) + at));
    expect(counts.entered[5]).toBe(numbers.at(-1));
  });
});
