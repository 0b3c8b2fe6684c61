import type { ResultCache } from '@millrace/shared/cache/result-cache';
import type { CachedResult } from '@millrace/shared/cache/result-value';
import { expect, test } from 'vitest';
import { createLocalResults, type LocalResults, type LookUp } from './local-results.ts';

const now = 1_700_000_000_000;

function resultOf(text: string): CachedResult {
  return {
    storedAt: now,
    freshUntil: now + 60_000,
    body: Buffer.from(`{"output":${text}}`),
    output: Buffer.from(text),
  };
}

function redisWith(stored: Map<string, CachedResult>): ResultCache & { reads: number } {
  const cache = {
    reads: 0,
    get: async (key: string, epoch: number) => {
      cache.reads++;
      return stored.get(`${epoch}:${key}`) ?? null;
    },
    getMany: async (keys: readonly (string | null)[], epoch: number) => {
      cache.reads++;
      return keys.map((key) => stored.get(`${epoch}:${key}`) ?? null);
    },
    put: async () => {},
    putMany: async () => {},
  };
  return cache;
}

const get = (local: LocalResults, cacheKey: string, { epoch = 0, nowMs = now }: Partial<LookUp> = {}) =>
  local.get<CachedResult | null>({ cacheKey, epoch, nowMs }, (result) => result);

test('a result with repeated hits is local for a second at a time', async () => {
  const redis = redisWith(new Map([['0:a', resultOf('1')]]));
  const local = createLocalResults(redis);
  for (let n = 0; n < 3; n++) expect((await get(local, 'a'))?.output.toString()).toBe('1');
  expect(redis.reads).toBe(3);
  for (let n = 0; n < 10; n++) {
    const got = get(local, 'a', { nowMs: now + 99 * n });
    expect(got).not.toBeInstanceOf(Promise);
    expect((got as CachedResult).text).toBe('{"output":1}');
  }
  expect(redis.reads).toBe(3);
  await get(local, 'a', { nowMs: now + 1_000 });
  expect(redis.reads).toBe(4);
  // The key is still hot: one read a second is enough.
  expect(get(local, 'a', { nowMs: now + 1_999 })).not.toBeInstanceOf(Promise);
});

test('a local result keeps no memory of other results', async () => {
  const local = createLocalResults(redisWith(new Map([['0:a', resultOf('[1,2]')]])));
  for (let n = 0; n < 3; n++) await get(local, 'a');
  const { body, output } = get(local, 'a') as CachedResult & { body: Buffer; output: Buffer };
  expect([body, output].map(String)).toEqual(['{"output":[1,2]}', '[1,2]']);
  for (const { buffer } of [body, output]) expect(buffer.byteLength).toBe(body.length + output.length);
});

test('hits with long times between them do not make a result local', async () => {
  const redis = redisWith(new Map([['0:a', resultOf('1')]]));
  const local = createLocalResults(redis);
  for (let n = 0; n < 10; n++) await get(local, 'a', { nowMs: now + n * 5_000 });
  expect(redis.reads).toBe(10);
});

test('a purged, forgotten or lost result is not local', async () => {
  const stored = new Map([['0:a', resultOf('1')]]);
  const redis = redisWith(stored);
  const local = createLocalResults(redis);
  const heat = async () => {
    for (let n = 0; n < 3; n++) await get(local, 'a');
    expect(get(local, 'a')).not.toBeInstanceOf(Promise);
  };
  await heat();
  expect(await get(local, 'a', { epoch: 1 })).toBeNull();
  await heat();
  local.forget('a');
  expect(get(local, 'a')).toBeInstanceOf(Promise);
  await heat();
  stored.clear();
  expect(await get(local, 'a', { nowMs: now + 1_000 })).toBeNull();
  expect(await get(local, 'a', { nowMs: now + 1_001 })).toBeNull();
});

test('a miss is never stored', async () => {
  const stored = new Map<string, CachedResult>();
  const local = createLocalResults(redisWith(stored));
  for (let n = 0; n < 5; n++) expect(await get(local, 'a')).toBeNull();
  stored.set('0:a', resultOf('2'));
  expect((await get(local, 'a'))?.output.toString()).toBe('2');
});

test('used results are read again in the background with one command, and unused results are not', async () => {
  const stored = new Map([...'abcd'].map((key) => [`0:${key}`, resultOf(`"${key}"`)]));
  const redis = redisWith(stored);
  const local = createLocalResults(redis);
  const at = (key: string, nowMs: number) => get(local, key, { nowMs });
  for (const key of 'abcd') for (let n = 0; n < 3; n++) await at(key, now);
  for (const key of 'abc') void at(key, now + 100);
  redis.reads = 0;
  await local.refresh(now + 400);
  expect(redis.reads, 'no result is old enough').toBe(0);

  stored.set('0:a', { ...resultOf('"newer"'), freshUntil: now + 90_000 });
  stored.set('0:b', { ...resultOf('"new"'), storedAt: now + 200 });
  stored.delete('0:c');
  await local.refresh(now + 500);
  expect(redis.reads).toBe(1);
  expect(at('a', now + 1_400)).toMatchObject({ text: '{"output":"newer"}' });
  expect(at('b', now + 1_400)).toMatchObject({ text: '{"output":"new"}' });
  expect(await at('c', now + 501)).toBeNull();
  expect(at('d', now + 1_000), 'not used since the last read').toBeInstanceOf(Promise);
});

test('a result that is forgotten during a refresh stays forgotten, and the other results are refreshed', async () => {
  const redis = redisWith(new Map(['0:a', '0:b'].map((key) => [key, resultOf('1')])));
  const local = createLocalResults(redis);
  for (const key of 'ab') for (let n = 0; n < 3; n++) await get(local, key);
  for (const key of 'ba') void get(local, key, { nowMs: now + 1 });
  redis.reads = 0;
  const refreshing = local.refresh(now + 600);
  local.forget('a');
  await refreshing;
  expect(redis.reads).toBe(1);
  expect(local.local('a', 0, now + 601)).toBeUndefined();
  expect(local.local('b', 0, now + 1_500)).toBeDefined();
});

test('the local copy shares no memory with the reply of Redis, and has the text of the body', async () => {
  const chunk = Buffer.from('{"output":1}1');
  const result = { ...resultOf('1'), body: chunk.subarray(0, 12), output: chunk.subarray(12) };
  const local = createLocalResults(redisWith(new Map([['0:a', result]])));
  for (let n = 0; n < 3; n++) await get(local, 'a');
  chunk.fill(0);
  expect(local.local('a', 0, now)).toEqual({ ...resultOf('1'), text: '{"output":1}' });
});

test('a result without a body is local without a text', async () => {
  const local = createLocalResults(redisWith(new Map([['0:a', { ...resultOf('1'), body: null }]])));
  for (let n = 0; n < 3; n++) await get(local, 'a');
  expect(local.local('a', 0, now)).toEqual({ ...resultOf('1'), body: null });
});

test.each([
  ['a body', { body: Buffer.alloc(16_385) }],
  ['an output', { output: Buffer.alloc(16_385) }],
])('a result with %s of more than 16 KiB is never local, and replaces a local result', async (_, large) => {
  const stored = new Map([['0:a', { ...resultOf('1'), ...large }]]);
  const redis = redisWith(stored);
  const local = createLocalResults(redis);
  for (let n = 0; n < 5; n++) await get(local, 'a');
  expect(local.local('a', 0, now)).toBeUndefined();
  stored.set('0:b', { ...resultOf('1'), body: Buffer.alloc(16_384), output: Buffer.alloc(16_384) });
  for (let n = 0; n < 3; n++) await get(local, 'b');
  void get(local, 'b', { nowMs: now + 100 });
  expect(local.local('b', 0, now + 100)).toBeDefined();
  stored.set('0:b', { ...resultOf('1'), ...large });
  await local.refresh(now + 600);
  expect(local.local('b', 0, now + 600)).toBeUndefined();
});

test('the other calls reach the cache', async () => {
  const calls: unknown[] = [];
  const local = createLocalResults({
    ...redisWith(new Map([['3:a', resultOf('1')]])),
    put: async (params) => void calls.push(params),
  });
  expect(await local.getMany(['a', null], 3)).toEqual([resultOf('1'), null]);
  const params = { cacheKey: 'a', epoch: 3, value: Buffer.from('1'), ttlMs: 1_000 };
  await local.put(params);
  expect(calls).toEqual([params]);
});

test('a refresh reads the used results of each epoch, and neither old nor unused results', async () => {
  const stored = new Map(
    [...'abcde'].flatMap((key) => [0, 1].map((epoch) => [`${epoch}:${key}`, resultOf('1')] as const)),
  );
  const redis = redisWith(stored);
  const reads: [number, readonly (string | null)[]][] = [];
  const local = createLocalResults({
    ...redis,
    getMany: async (keys, epoch) => {
      reads.push([epoch, keys]);
      return redis.getMany(keys, epoch);
    },
  });
  const heat = async (key: string, epoch: number, at: number) => {
    for (let n = 0; n < 3; n++) await get(local, key, { epoch, nowMs: at });
  };
  await heat('e', 0, now - 600);
  for (const key of 'ab') await heat(key, 0, now);
  for (const key of 'cd') await heat(key, 1, now);
  void get(local, 'e', { nowMs: now - 500 });
  for (const [key, epoch] of [
    ['a', 0],
    ['b', 0],
    ['c', 1],
    ['d', 1],
  ] as const)
    void get(local, key, { epoch, nowMs: now + 1 });
  // `e` was used 1,100 ms before, so its copy is not read again.
  await local.refresh(now + 600);
  expect(reads).toEqual([
    [1, ['d', 'c']],
    [0, ['b', 'a']],
  ]);
});

test('a reply that is older than the last read changes nothing', async () => {
  const stored = new Map([['0:a', resultOf('1')]]);
  const redis = redisWith(stored);
  const reply = Promise.withResolvers<(CachedResult | null)[]>();
  const local = createLocalResults({ ...redis, getMany: () => reply.promise });
  for (let n = 0; n < 3; n++) await get(local, 'a');
  void get(local, 'a', { nowMs: now + 1 });
  const refreshing = local.refresh(now + 999);
  stored.set('0:a', { ...resultOf('2'), storedAt: now + 999 });
  await get(local, 'a', { nowMs: now + 1_000 });
  reply.resolve([null]);
  await refreshing;
  expect(local.local('a', 0, now + 1_001)).toMatchObject({ text: '{"output":2}' });
});

test('a result that was not read for five seconds leaves the memory, a thousand at each call', async () => {
  const keys = Array.from({ length: 1_500 }, (_, at) => `k${at}`);
  const local = createLocalResults(redisWith(new Map(keys.map((key) => [`0:${key}`, resultOf('1')]))));
  for (const key of keys) await get(local, key);
  await get(local, 'k0', { nowMs: now + 1 });
  await local.refresh(now + 4_999);
  expect(local.size).toBe(1_500);
  await local.refresh(now + 5_000);
  expect(local.size).toBe(500);
  await local.refresh(now + 5_000);
  expect(local.size).toBe(1);
  await local.refresh(now + 5_001);
  expect(local.size).toBe(0);
});
