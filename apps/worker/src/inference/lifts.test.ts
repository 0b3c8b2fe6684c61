import { expect, test } from 'vitest';
import { Lifts } from './lifts.ts';

const lift = (id: string) => ({ model: 'm', id, priority: 1 });

test('a lift is kept for the job that comes behind it, for a few seconds', () => {
  const lifts = new Lifts();
  lifts.add(lift('a'), 0);
  lifts.add(lift('b'), 4_000);
  expect(lifts.among(['x', 'b', 'a'])).toMatchObject([{ id: 'b' }, { id: 'a' }]);
  lifts.add(lift('c'), 6_000);
  expect(lifts.among(['a', 'b', 'c'])).toMatchObject([{ id: 'b' }, { id: 'c' }]);
});

test('a lift that arrives again is kept as long as a new lift, and the lifts between both no longer', () => {
  const lifts = new Lifts();
  lifts.add(lift('a'), 0);
  lifts.add(lift('b'), 1_000);
  lifts.add(lift('a'), 4_000);
  lifts.add(lift('c'), 6_000);
  expect(lifts.among(['a', 'b', 'c'])).toMatchObject([{ id: 'a' }, { id: 'c' }]);
});

test('lifts are kept within bounds', () => {
  const lifts = new Lifts();
  const ids = Array.from({ length: 1_500 }, (_, n) => `p${n}`);
  for (const id of ids) lifts.add(lift(id), 0);
  expect(lifts.among(ids)).toHaveLength(1_000);
});
