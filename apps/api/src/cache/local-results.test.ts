import type { CachedResult, ResultCache } from '@millrace/shared/cache/result-cache';
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

test('what is hit again and again is near, for a second at a time', async () => {
  const redis = redisWith(new Map([['0:a', resultOf('1')]]));
  const near = createLocalResults(redis);
  for (let n = 0; n < 3; n++) expect((await near.get('a', 0, now))?.output.toString()).toBe('1');
  expect(redis.reads).toBe(3);
  for (let n = 0; n < 10; n++) {
    const got = near.get('a', 0, now + 99 * n);
    expect(got).not.toBeInstanceOf(Promise);
    expect((got as CachedResult).text).toBe('{"output":1}');
  }
  expect(redis.reads).toBe(3);
  await near.get('a', 0, now + 1_000);
  expect(redis.reads).toBe(4);
  // It is still hot: one read a second is enough.
  expect(near.get('a', 0, now + 1_999)).not.toBeInstanceOf(Promise);
});

test('hits far apart make nothing hot', async () => {
  const redis = redisWith(new Map([['0:a', resultOf('1')]]));
  const near = createLocalResults(redis);
  for (let n = 0; n < 10; n++) await near.get('a', 0, now + n * 5_000);
  expect(redis.reads).toBe(10);
});

test('a purge, a forgotten key and what Redis lost are not answered from here', async () => {
  const stored = new Map([['0:a', resultOf('1')]]);
  const redis = redisWith(stored);
  const near = createLocalResults(redis);
  const heat = async () => {
    for (let n = 0; n < 3; n++) await near.get('a', 0, now);
    expect(near.get('a', 0, now)).not.toBeInstanceOf(Promise);
  };
  await heat();
  expect(await near.get('a', 1, now)).toBeNull();
  await heat();
  near.forget('a');
  expect(near.get('a', 0, now)).toBeInstanceOf(Promise);
  await heat();
  stored.clear();
  expect(await near.get('a', 0, now + 1_000)).toBeNull();
  expect(await near.get('a', 0, now + 1_001)).toBeNull();
});

test('a miss is never remembered', async () => {
  const stored = new Map<string, CachedResult>();
  const near = createLocalResults(redisWith(stored));
  for (let n = 0; n < 5; n++) expect(await near.get('a', 0, now)).toBeNull();
  stored.set('0:a', resultOf('2'));
  expect((await near.get('a', 0, now))?.output.toString()).toBe('2');
});

test('what is hot is read again behind the back of those who ask, all together, and while they ask only', async () => {
  const stored = new Map([...'abcd'].map((key) => [`0:${key}`, resultOf(`"${key}"`)]));
  const redis = redisWith(stored);
  const near = createLocalResults(redis);
  const ask = (key: string, at: number) => near.get(key, 0, at);
  for (const key of 'abcd') for (let n = 0; n < 3; n++) await ask(key, now);
  for (const key of 'abc') void ask(key, now + 100);
  redis.reads = 0;
  await near.refresh(now + 400);
  expect(redis.reads, 'none is old enough').toBe(0);

  stored.set('0:b', { ...resultOf('"new"'), storedAt: now + 200 });
  stored.delete('0:c');
  await near.refresh(now + 500);
  expect(redis.reads).toBe(1);
  expect(ask('a', now + 1_400)).toMatchObject({ text: '{"output":"a"}' });
  expect(ask('b', now + 1_400)).toMatchObject({ text: '{"output":"new"}' });
  expect(await ask('c', now + 501)).toBeNull();
  expect(ask('d', now + 1_000), 'nobody asked for it').toBeInstanceOf(Promise);
});

test('what is forgotten while it is read again stays forgotten', async () => {
  const redis = redisWith(new Map([['0:a', resultOf('1')]]));
  const near = createLocalResults(redis);
  for (let n = 0; n < 4; n++) await near.get('a', 0, now);
  const refreshing = near.refresh(now + 600);
  near.forget('a');
  await refreshing;
  expect(near.near('a', 0, now + 601)).toBeUndefined();
});
