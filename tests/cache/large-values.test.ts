/** Tests that long values use a separate connection to the cache Redis. */
import { randomBytes } from 'node:crypto';
import { createResultCache } from '@millrace/shared/cache/result-cache';
import { encodeResult } from '@millrace/shared/cache/result-value';
import type { Connection } from '@millrace/shared/redis/connection';
import { keysFor } from '@millrace/shared/redis/keys';
import type { Command } from 'ioredis';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { testPrefix } from '../support/test-prefix.ts';
import { connectTestRedis, keysOf } from '../support/test-redis.ts';

const MIB = 1_048_576;
const times = { storedAt: 1, freshUntil: 2, body: null };
const prefix = testPrefix();
const failures: unknown[] = [];
let redis: Connection;
let large: Connection;
let cache: ReturnType<typeof createResultCache>;

beforeAll(() => {
  [redis, large] = [connectTestRedis(), connectTestRedis()];
  cache = createResultCache(redis, keysFor(prefix), {
    onError: (error) => failures.push(error),
    onDamaged: () => failures.push('damaged'),
    large,
  });
});
afterAll(async () => {
  for (const key of await keysOf(redis, prefix)) await redis.del(key);
  redis.disconnect();
  large.disconnect();
});

async function stored(characters: number): Promise<{ key: string; output: string }> {
  const key = randomBytes(32).toString('hex');
  const output = JSON.stringify('z'.repeat(characters));
  await cache.put({ cacheKey: key, epoch: 0, value: encodeResult({ ...times, cacheKey: key, output }), ttlMs: 60_000 });
  return { key, output };
}

test('values of every length are read alone and together, and absent values are null', async () => {
  const head = 64 + 2;
  const lengths = [1, 65_536 - head - 1, 65_536 - head, 65_536 - head + 1, 100_000, 3 * MIB];
  const values = await Promise.all(lengths.map(stored));
  for (const { key, output } of values) expect((await cache.get(key, 0))?.output.toString()).toBe(output);
  const absent = randomBytes(32).toString('hex');
  const keys = [...values.map(({ key }) => key), absent, null];
  const read = (await cache.getMany(keys, 0)).map((value) => value?.output.toString() ?? null);
  expect(read).toEqual([...values.map(({ output }) => output), null, null]);
  expect(await cache.get(absent, 0)).toBeNull();
  expect(failures).toEqual([]);
});

test('many short values that exceed the size of one reply are read together', async () => {
  const values = await Promise.all(Array.from({ length: 40 }, () => stored(60_000)));
  const read = await cache.getMany(
    values.map(({ key }) => key),
    0,
  );
  expect(read.map((value) => value?.output.toString())).toEqual(values.map(({ output }) => output));
  expect(failures).toEqual([]);
});

test('a short value is read while a long one is written and read', async () => {
  const short = await stored(10);
  const done: string[] = [];
  const note = (name: string) => () => void done.push(name);
  const key = randomBytes(32).toString('hex');
  const value = encodeResult({ ...times, cacheKey: key, output: JSON.stringify('z'.repeat(21 * MIB)) });
  const writing = cache.put({ cacheKey: key, epoch: 0, value, ttlMs: 60_000 }).then(note('long write'));
  await cache.get(short.key, 0).then(note('short'));
  await writing;
  const reading = cache.get(key, 0).then(note('long read'));
  await cache.get(short.key, 0).then(note('short'));
  await cache.get(short.key, 0).then(note('short'));
  await reading;
  expect(done).toEqual(['short', 'long write', 'short', 'short', 'long read']);
});

interface Sender {
  sendCommand(command: Command, ...rest: unknown[]): unknown;
}

test('a value in pieces is written under keys with the prefix and in the slot of the value', async () => {
  const key = randomBytes(32).toString('hex');
  const pieces = [Buffer.from('"'), ...Array.from({ length: 20 }, () => Buffer.alloc(100_000, 'z')), Buffer.from('"')];
  const output = { pieces, length: 2_000_002 };
  const names = new Set<string>();
  const sender = large as unknown as Sender;
  const send = sender.sendCommand.bind(large);
  const watch = vi.spyOn(sender, 'sendCommand').mockImplementation((command, ...rest) => {
    for (const name of command.getKeys()) names.add(String(name));
    return send(command, ...rest);
  });
  await cache.put({ cacheKey: key, epoch: 0, value: encodeResult({ ...times, cacheKey: key, output }), ttlMs: 60_000 });
  watch.mockRestore();
  const place = keysFor(prefix).result(key);
  const others = [...names].filter((name) => name !== place);
  expect(others).toEqual([expect.stringMatching(new RegExp(`^${prefix}:w:\\{${place}\\}:`))]);
  const read = await cache.get(key, 0);
  expect(read?.output).toMatchObject({ length: 2_000_002 });
  expect(String(read?.output) === String(Buffer.concat(pieces))).toBe(true);
  expect(await keysOf(redis, `${prefix}:w:`)).toEqual([]);
  expect(failures).toEqual([]);
});
