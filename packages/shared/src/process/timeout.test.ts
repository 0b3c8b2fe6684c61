import { expect, test } from 'vitest';
import { within } from './timeout.ts';

test('what settles in time is passed on, what does not is given up', async () => {
  expect(await within(1_000, Promise.resolve(1), 'it')).toBe(1);
  await expect(within(1_000, Promise.reject(new Error('no')), 'it')).rejects.toThrow('no');
  await expect(within(5, new Promise(() => {}), 'a commit')).rejects.toThrow('a commit took longer than 5 ms');
});
