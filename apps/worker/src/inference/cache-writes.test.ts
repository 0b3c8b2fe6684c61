import { expect, test } from 'vitest';
import { CacheWrites } from './cache-writes.ts';

function open(limitBytes: number) {
  const state = { writable: true, skipped: 0 };
  const writes = new CacheWrites({
    limitBytes,
    isWritable: () => state.writable,
    onSkipped: (results) => {
      state.skipped += results;
    },
  });
  return { state, writes };
}

test('writes start at once, and beyond the limit in bytes they are skipped until a write has ended', async () => {
  const { state, writes } = open(100);
  const first = Promise.withResolvers<void>();
  const started: string[] = [];
  const write = (name: string, end: Promise<void>) => () => {
    started.push(name);
    return end;
  };
  writes.start({ results: 1, bytes: 60 }, write('a', first.promise));
  writes.start({ results: 2, bytes: 60 }, write('b', Promise.resolve()));
  expect([started, writes.bytes, state.skipped]).toEqual([['a'], 60, 2]);
  first.resolve();
  await writes.close();
  // A write above the limit alone is started while no other write is in progress.
  writes.start({ results: 1, bytes: 600 }, write('c', Promise.resolve()));
  expect(started).toEqual(['a', 'c']);
  await writes.close();
  expect(writes.bytes).toBe(0);
});

test('a cache Redis that does not respond gets no writes', () => {
  const { state, writes } = open(100);
  state.writable = false;
  writes.start({ results: 3, bytes: 1 }, () => Promise.reject(new Error('must not start')));
  expect(state.skipped).toBe(3);
});
