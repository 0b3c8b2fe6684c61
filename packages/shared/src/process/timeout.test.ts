import { expect, test } from 'vitest';
import { withTimeout } from './timeout.ts';

test('a call that settles in time passes its result on, and a late call rejects', async () => {
  expect(await withTimeout(1_000, Promise.resolve(1), 'a call')).toBe(1);
  await expect(withTimeout(1_000, Promise.reject(new Error('no')), 'a call')).rejects.toThrow('no');
  await expect(withTimeout(5, new Promise(() => {}), 'a commit')).rejects.toThrow('a commit took longer than 5 ms');
});
