import { expect, test } from 'vitest';
import { HeldResults } from './held-results.ts';

test('no run begins while results of so many bytes wait to be written', async () => {
  const changes: boolean[] = [];
  const held = new HeldResults(100, (full) => changes.push(full));
  const first = Promise.withResolvers<string>();
  const second = Promise.withResolvers<string>();
  const writes = [held.during(60, () => first.promise), held.during(70, () => second.promise)];
  const order: string[] = [];
  const begun = held.room()?.then(() => order.push('begun'));
  expect([held.full, held.bytes, changes]).toEqual([true, 130, [true]]);
  order.push('written');
  second.resolve('b');
  await begun;
  expect([order, held.room(), changes]).toEqual([['written', 'begun'], undefined, [true, false]]);
  first.resolve('a');
  expect([await Promise.all(writes), held.bytes]).toEqual([['a', 'b'], 0]);
});

test('a result larger than the bound is held alone, and a write that fails is counted out', async () => {
  const held = new HeldResults(100, () => {});
  expect(held.room()).toBeUndefined();
  await expect(
    held.during(1_000, () => {
      expect(held.full).toBe(true);
      return Promise.reject(new Error('refused'));
    }),
  ).rejects.toThrow('refused');
  expect([held.full, held.bytes]).toEqual([false, 0]);
});
