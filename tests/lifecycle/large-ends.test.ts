/** Tests that no script carries a long result: for leaders, followers, repeated attempts, and later reads of the state. */
import { LiveStore, type Taken } from '@millrace/shared/live/store';
import { LongText } from '@millrace/shared/predictions/long-text';
import { keysFor } from '@millrace/shared/redis/keys';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { type OwnRedis, startOwnRedis } from '../support/own-redis.ts';
import { testPrefix } from '../support/test-prefix.ts';
import { keysOf } from '../support/test-redis.ts';
import { MODEL, NOW, newId, newPrediction, SHARD, TARGET } from './live-fixture.ts';

const END = { status: 'succeeded', startedAt: NOW, batchedAt: NOW, inferenceMs: 1, batchSize: 2 } as const;
const FLIGHT = 'f'.repeat(64);
/** Limit for the arguments of a command. */
const COMMAND_BYTES = 600_000;
const keys = keysFor(testPrefix());
const result = new LongText(Array.from({ length: 40 }, (_, at) => Buffer.alloc(65_536, String(at % 10))));
let own: OwnRedis;
let redis: Redis;
let live: LiveStore;
let scripted: Record<'mrPlace' | 'mrPassed', (...args: unknown[]) => Promise<unknown>>;
/** Bytes of the longest argument since the last reset. */
let longest = 0;

beforeAll(async () => {
  own = await startOwnRedis([]);
  redis = new Redis(own.url);
  live = new LiveStore(redis, keys);
  scripted = redis as unknown as typeof scripted;
  const send = redis.sendCommand.bind(redis);
  redis.sendCommand = (command, ...rest) => {
    for (const arg of command.args) longest = Math.max(longest, (arg as string | Buffer).length ?? 0);
    return send(command, ...rest);
  };
});
afterAll(async () => {
  redis.disconnect();
  await own.stop();
});

/** Counts the states that scripts read whole during `work`. Scripts read whole states with GET. */
async function wholeReads(work: () => Promise<unknown>): Promise<number> {
  const live = `${keys.tag(SHARD)}p:`;
  const { promise: seen, resolve } = Promise.withResolvers<void>();
  let reads = 0;
  const monitor = await redis.monitor();
  monitor.on('monitor', (_time: string, [name = '', key = '']: string[]) => {
    if (name.toLowerCase() === 'get' && key.startsWith(live)) reads += 1;
    if (name === 'ping') resolve();
  });
  longest = 0;
  await work();
  await redis.ping();
  await seen;
  monitor.disconnect();
  return reads;
}

async function submit(given: Partial<ReturnType<typeof newPrediction>> = {}) {
  const item = newPrediction(given);
  const { items, counts } = await live.submit(TARGET, { priority: 'normal', job: `p-${item.id}`, nowMs: NOW }, [item]);
  return { id: item.id, outcome: items[0]?.outcome, counts };
}

async function taken(id: string, worker = 'w1'): Promise<Taken> {
  const [one] = await live.take(SHARD, [id], { worker, maxAttempts: 4, nowMs: NOW });
  if (!one) throw new Error('the prediction was not taken');
  return one;
}

const finish = (one: Taken, worker = 'w1') => live.finish(SHARD, [{ ...one, result, ...END }], { worker, nowMs: NOW });

/** A running leader with followers. */
async function followed(count: number) {
  await redis.del(keys.flight(SHARD, FLIGHT));
  await redis.set(keys.worker(SHARD, 'w1'), '1');
  const { id } = await submit({ flight: FLIGHT });
  const one = await taken(id);
  const followers = await Promise.all(Array.from({ length: count }, () => submit({ flight: FLIGHT })));
  expect(followers.every(({ outcome }) => outcome === 'follow')).toBe(true);
  return { one, ids: followers.map((follower) => follower.id) };
}

async function expectResult(ids: readonly string[], attempts = 1): Promise<void> {
  for (const id of ids) {
    const state = await live.read(id);
    expect(state).toMatchObject({ status: 'succeeded', attempts, inferenceMs: 1, batchSize: 2, task: '' });
    expect(state?.result).toBeInstanceOf(LongText);
    expect(String(state?.result) === String(result)).toBe(true);
  }
}

/** The ids of `ids` that are in the stream. */
async function idsIn(stream: string, ids: readonly string[]): Promise<string[]> {
  const entries = await redis.xrange(stream, '-', '+');
  return entries.flatMap(([, fields]) => fields.filter((field, at) => at % 2 === 0 && ids.includes(field)));
}

describe('a long result', () => {
  test('reaches its followers without a script that carries it', async () => {
    const { one, ids } = await followed(3);
    expect(await wholeReads(() => finish(one))).toBe(0);
    expect(longest).toBeLessThan(COMMAND_BYTES);
    await expectResult([one.id, ...ids]);
    expect(await redis.exists(keys.followers(one.id))).toBe(0);
    expect((await idsIn(keys.events(SHARD), [one.id, ...ids])).sort()).toEqual([one.id, ...ids].sort());
    expect((await idsIn(keys.ledger(SHARD), [one.id, ...ids])).sort()).toEqual([one.id, ...ids].sort());
  });

  test('of a prediction whose first worker died is written without a script that carries it', async () => {
    const { id } = await submit();
    await taken(id, 'dead');
    const one = await taken(id, 'w2');
    expect(one.attempt).toBe(2);
    expect(await wholeReads(() => finish(one, 'w2'))).toBe(0);
    expect(longest).toBeLessThan(COMMAND_BYTES);
    await expectResult([id], 2);
  });

  test('reaches the followers of a leader that was canceled, which stays canceled', async () => {
    const { one, ids } = await followed(2);
    await live.end(one.id, { tenant: 'default', status: 'canceled', nowMs: NOW });
    await finish(one);
    expect(longest).toBeLessThan(COMMAND_BYTES);
    await expectResult(ids);
    expect(await live.read(one.id)).toMatchObject({ status: 'canceled', runsForFollowers: false });
    expect(await redis.exists(keys.flight(SHARD, FLIGHT))).toBe(0);
  });

  test('is too late for a follower and a leader whose deadlines have passed', async () => {
    const { one } = await followed(0);
    const late = await submit({ flight: FLIGHT, expiresAt: NOW + 1 });
    const kept = await submit({ flight: FLIGHT });
    const item = { ...one, result, ...END };
    expect(await live.finish(SHARD, [item], { worker: 'w1', nowMs: NOW + 2 })).toEqual(['written']);
    expect((await live.read(late.id))?.status).toBe('expired');
    await expectResult([kept.id]);
    const second = await followed(1);
    expect(
      await live.finish(SHARD, [{ ...second.one, result, ...END }], { worker: 'w1', nowMs: NOW + 60_001 }),
    ).toEqual(['written']);
    expect((await live.read(second.one.id))?.status).toBe('expired');
  });

  test('reaches the followers through the next worker when the first worker died after the end of the leader', async () => {
    const { one, ids } = await followed(2);
    const dies = vi.spyOn(redis, 'srandmember').mockRejectedValueOnce(new Error('the worker dies'));
    await expect(finish(one)).rejects.toThrow('the worker dies');
    dies.mockRestore();
    expect(await wholeReads(() => live.take(SHARD, [one.id], { worker: 'w2', maxAttempts: 4, nowMs: NOW }))).toBe(0);
    await expectResult([one.id, ...ids]);
  });

  test('reaches its followers when the reply about the end of the leader is lost and the command is sent again', async () => {
    const { one, ids } = await followed(2);
    const place = scripted.mrPlace.bind(redis);
    const again = vi.spyOn(scripted, 'mrPlace').mockImplementationOnce(async (...args) => {
      await place(...args);
      return place(...args);
    });
    expect(await finish(one)).toEqual(['written']);
    again.mockRestore();
    await expectResult([one.id, ...ids]);
  });

  test('leaves no mark on a canceled leader whose worker dies after the end of the last follower', async () => {
    const { one, ids } = await followed(1);
    await live.end(one.id, { tenant: 'default', status: 'canceled', nowMs: NOW });
    const passed = scripted.mrPassed.bind(redis);
    const dies = vi
      .spyOn(scripted, 'mrPassed')
      .mockImplementationOnce((...args) => passed(...args))
      .mockRejectedValueOnce(new Error('the worker dies'));
    await expect(finish(one)).rejects.toThrow('the worker dies');
    dies.mockRestore();
    await expectResult(ids);
    expect(await live.take(SHARD, [one.id], { worker: 'w2', maxAttempts: 4, nowMs: NOW })).toEqual([]);
    expect(await live.read(one.id)).toMatchObject({ status: 'canceled', runsForFollowers: false });
    expect(await redis.pttl(keys.live(one.id))).toBeGreaterThan(0);
  });

  describe('that is placed', () => {
    const written = `${keys.tag(SHARD)}written`;
    interface Place {
      id: string;
      bytes?: number;
      head?: string;
      flight?: string;
      leader?: string;
    }
    /** Places the text `state` as the state of a prediction without a state. */
    const place = async ({ id, bytes = 5, head = '', flight = '', leader = '' }: Place) => {
      await redis.set(written, 'state');
      return scripted.mrPlace(
        ...[2, keys.live(id), written],
        ...[keys.tag(SHARD), id, bytes, head, 0, 'short', 60_000, flight, 30_000, leader],
      );
    };

    test('becomes the state for a limited time, and is announced to callers and to the recorder', async () => {
      const id = newId();
      expect(await place({ id })).toBe(1);
      expect([await redis.get(keys.live(id)), await redis.exists(written)]).toEqual(['state', 0]);
      expect(await redis.pttl(keys.live(id))).toBeLessThanOrEqual(60_000);
      expect(await redis.pttl(keys.live(id))).toBeGreaterThan(0);
      for (const stream of [keys.events(SHARD), keys.ledger(SHARD)]) expect(await idsIn(stream, [id])).toEqual([id]);
    });

    test('is deleted where the state is another, or where a part is missing', async () => {
      const id = newId();
      expect([await place({ id, bytes: 6 }), await redis.exists(written, keys.live(id))]).toEqual([2, 0]);
      expect([await place({ id, head: 'x' }), await redis.exists(written, keys.live(id))]).toEqual([0, 0]);
      await redis.set(keys.live(id), 'xyz');
      expect([await place({ id }), await redis.exists(written)]).toEqual([0, 0]);
      expect(await redis.get(keys.live(id))).toBe('xyz');
      expect([await place({ id, head: 'xy' }), await redis.get(keys.live(id))]).toEqual([1, 'state']);
    });

    test('leaves its flight for a moment, and leaves the followers of its leader', async () => {
      const [id, other, leader] = [newId(), newId(), newId()];
      const flight = `${keys.tag(SHARD)}f:a-flight`;
      await redis.set(flight, id);
      await redis.sadd(keys.followers(leader), id, other);
      expect(await place({ id, flight: 'a-flight', leader })).toBe(1);
      const left = await redis.pttl(flight);
      expect([left > 0 && left <= 30_000, await redis.smembers(keys.followers(leader))]).toEqual([true, [other]]);
    });
  });

  test('lets only the latest attempt of a leader that runs for followers prepare their end', async () => {
    const { one } = await followed(1);
    const passed = (id: string, attempt: number) =>
      scripted.mrPassed(1, keys.live(id), keys.tag(SHARD), id, attempt, 1_000);
    const holder = () => redis.get(keys.flight(SHARD, FLIGHT));
    // The leader is open.
    expect([await passed(one.id, one.attempt), await holder()]).toEqual([0, one.id]);
    await live.end(one.id, { tenant: 'default', status: 'canceled', nowMs: NOW });
    expect([await passed(one.id, one.attempt + 1), await holder()]).toEqual([0, one.id]);
    expect([await passed(one.id, one.attempt), await holder()]).toEqual([1, null]);
    expect(await redis.pttl(keys.live(one.id))).toBe(-1);
    // An end without followers keeps its lifetime, and a state that is gone has no followers.
    const { id } = await submit();
    const alone = await taken(id);
    await live.end(id, { tenant: 'default', status: 'canceled', nowMs: NOW });
    expect(await passed(id, alone.attempt)).toBe(0);
    expect(await redis.pttl(keys.live(id))).toBeGreaterThan(1_000);
    await redis.del(keys.live(id));
    expect(await passed(id, alone.attempt)).toBe(0);
  });

  test('is written again when Redis has executed an APPEND twice', async () => {
    const { id } = await submit();
    const one = await taken(id);
    const append = redis.append.bind(redis);
    const twice = vi.spyOn(redis, 'append').mockImplementationOnce(async (key, value) => {
      await append(key, value);
      return append(key, value);
    });
    expect(await finish(one)).toEqual(['written']);
    twice.mockRestore();
    await expectResult([id]);
    expect(await keysOf(redis, keys.written(id, ''))).toEqual([]);
  });

  test('that is known at the submission is refused without a wait while Redis is full', async () => {
    const full = vi.spyOn(redis, 'append').mockRejectedValueOnce(new Error('OOM command not allowed'));
    const item = newPrediction({ known: result });
    await expect(live.submit(TARGET, { priority: 'normal', job: 'p-full', nowMs: NOW }, [item])).rejects.toThrow('OOM');
    full.mockRestore();
    expect(await keysOf(redis, keys.written(item.id, ''))).toEqual([]);
  });

  test('that is known at the submission is written without a script that carries it', async () => {
    longest = 0;
    const items = [newPrediction({ known: result }), newPrediction({ known: '1' }), newPrediction()];
    const { items: submitted, counts } = await live.submit(
      TARGET,
      { priority: 'normal', job: 'p-known', nowMs: NOW },
      items,
    );
    expect(longest).toBeLessThan(COMMAND_BYTES);
    expect(submitted.map(({ outcome }) => outcome)).toEqual(['done', 'done', 'lead']);
    expect(counts).toEqual(await live.counts(MODEL));
    const [long] = items;
    const state = await live.read(long?.id as string);
    expect(state).toMatchObject({ status: 'succeeded', attempts: 0, startedAt: null, number: null, completedAt: NOW });
    expect(String(state?.result) === String(result)).toBe(true);
    const again = await live.submit(TARGET, { priority: 'normal', job: 'p-known', nowMs: NOW }, [
      { ...(long as (typeof items)[0]) },
    ]);
    expect(again.items).toEqual([{ outcome: 'exists', status: 'succeeded' }]);
  });
});

describe('the state of a long success', () => {
  test('is read only by its head in every script', async () => {
    const { one } = await followed(0);
    await finish(one);
    const { id } = one;
    const reads = await wholeReads(async () => {
      expect(await live.end(id, { tenant: 'default', status: 'canceled', nowMs: NOW })).toEqual({
        outcome: 'terminal',
        status: 'succeeded',
      });
      expect(await live.take(SHARD, [id], { worker: 'w2', maxAttempts: 4, nowMs: NOW })).toEqual([]);
      const retry = { id, tenant: 'default', job: 'p-again', opening: 1, expiresAt: null, nowMs: NOW };
      expect(await live.retry(retry)).toEqual({ outcome: 'refused', status: 'succeeded' });
      const row = { id, model: MODEL, opening: 0, supersededAt: null, expiresAt: null };
      expect(await live.adopt(row, { job: 'p-adopted', nowMs: NOW })).toEqual({ outcome: 'terminal' });
      expect((await live.finish(SHARD, [{ ...one, result: '1', ...END }], { worker: 'w1', nowMs: NOW }))[0]).toBe(
        'cancelled',
      );
      await live.discard(id);
      // The flight of the success stays. The next equal input is computed, because no script copies the result.
      expect((await submit({ flight: FLIGHT })).outcome).toBe('lead');
    });
    expect(reads).toBe(0);
    await expectResult([id]);
    expect(await wholeReads(() => live.drop([{ id, completedAt: NOW }]))).toBe(0);
    expect(await live.read(id)).toBeNull();
  });

  test('keeps its result when the ledger has a later opening', async () => {
    const { one } = await followed(0);
    await finish(one);
    const row = { id: one.id, model: MODEL, opening: 3, supersededAt: null, expiresAt: null };
    expect(await live.adopt(row, { job: 'p-adopted', nowMs: NOW })).toEqual({ outcome: 'terminal' });
    await expectResult([one.id]);
    expect((await live.read(one.id))?.opening).toBe(3);
  });
});
