import { expect, test } from 'vitest';
import { withTimeout } from './timeout.ts';

test('what settles in time is passed on, what does not is given up', async () => {
  expect(await withTimeout(1_000, Promise.resolve(1), 'it')).toBe(1);
  await expect(withTimeout(1_000, Promise.reject(new Error('no')), 'it')).rejects.toThrow('no');
  await expect(withTimeout(5, new Promise(() => {}), 'a commit')).rejects.toThrow('a commit took longer than 5 ms');
});
