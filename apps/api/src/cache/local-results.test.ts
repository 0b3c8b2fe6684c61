import type { ResultCache } from '@millrace/shared/cache/result-cache';
import type { CachedResult } from '@millrace/shared/cache/result-value';
import { expect, test } from 'vitest';
import { createLocalResults } from './local-results.ts';

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
  };
  return cache;
}

test('a result with repeated hits is local for a second at a time', async () => {
  const redis = redisWith(new Map([['0:a', resultOf('1')]]));
  const local = createLocalResults(redis);
  for (let n = 0; n < 3; n++) expect((await local.get('a', 0, now))?.output.toString()).toBe('1');
  expect(redis.reads).toBe(3);
  for (let n = 0; n < 10; n++) {
    const got = local.get('a', 0, now + 99 * n);
    expect(got).not.toBeInstanceOf(Promise);
    expect((got as CachedResult).text).toBe('{"output":1}');
  }
  expect(redis.reads).toBe(3);
  await local.get('a', 0, now + 1_000);
  expect(redis.reads).toBe(4);
  // The key is still hot: one read a second is enough.
  expect(local.get('a', 0, now + 1_999)).not.toBeInstanceOf(Promise);
});

test('hits with long times between them do not make a result local', async () => {
  const redis = redisWith(new Map([['0:a', resultOf('1')]]));
  const local = createLocalResults(redis);
  for (let n = 0; n < 10; n++) await local.get('a', 0, now + n * 5_000);
  expect(redis.reads).toBe(10);
});

test('a purged, forgotten or lost result is not local', async () => {
  const stored = new Map([['0:a', resultOf('1')]]);
  const redis = redisWith(stored);
  const local = createLocalResults(redis);
  const heat = async () => {
    for (let n = 0; n < 3; n++) await local.get('a', 0, now);
    expect(local.get('a', 0, now)).not.toBeInstanceOf(Promise);
  };
  await heat();
  expect(await local.get('a', 1, now)).toBeNull();
  await heat();
  local.forget('a');
  expect(local.get('a', 0, now)).toBeInstanceOf(Promise);
  await heat();
  stored.clear();
  expect(await local.get('a', 0, now + 1_000)).toBeNull();
  expect(await local.get('a', 0, now + 1_001)).toBeNull();
});

test('a miss is never stored', async () => {
  const stored = new Map<string, CachedResult>();
  const local = createLocalResults(redisWith(stored));
  for (let n = 0; n < 5; n++) expect(await local.get('a', 0, now)).toBeNull();
  stored.set('0:a', resultOf('2'));
  expect((await local.get('a', 0, now))?.output.toString()).toBe('2');
});

test('used results are read again in the background with one command, and unused results are not', async () => {
  const stored = new Map([...'abcd'].map((key) => [`0:${key}`, resultOf(`"${key}"`)]));
  const redis = redisWith(stored);
  const local = createLocalResults(redis);
  const get = (key: string, at: number) => local.get(key, 0, at);
  for (const key of 'abcd') for (let n = 0; n < 3; n++) await get(key, now);
  for (const key of 'abc') void get(key, now + 100);
  redis.reads = 0;
  await local.refresh(now + 400);
  expect(redis.reads, 'no result is old enough').toBe(0);

  stored.set('0:b', { ...resultOf('"new"'), storedAt: now + 200 });
  stored.delete('0:c');
  await local.refresh(now + 500);
  expect(redis.reads).toBe(1);
  expect(get('a', now + 1_400)).toMatchObject({ text: '{"output":"a"}' });
  expect(get('b', now + 1_400)).toMatchObject({ text: '{"output":"new"}' });
  expect(await get('c', now + 501)).toBeNull();
  expect(get('d', now + 1_000), 'not used since the last read').toBeInstanceOf(Promise);
});

test('a result that is forgotten during a refresh stays forgotten', async () => {
  const redis = redisWith(new Map([['0:a', resultOf('1')]]));
  const local = createLocalResults(redis);
  for (let n = 0; n < 4; n++) await local.get('a', 0, now);
  const refreshing = local.refresh(now + 600);
  local.forget('a');
  await refreshing;
  expect(local.local('a', 0, now + 601)).toBeUndefined();
});
