import { expect, test } from 'vitest';
import { readOptions } from './options.ts';

const read = (...args: string[]) => readOptions(args, ['hit', 'queue'], 'results.json');

test('without options every scenario and rival runs', () => {
  expect(read()).toMatchObject({ only: undefined, seconds: 10, rounds: 3, waiting: 1_000_000, out: 'results.json' });
  expect(read('--only', 'hit,queue', '--seconds', '5')).toMatchObject({ only: ['hit', 'queue'], seconds: 5 });
  expect(read('--rivals', 'echo,millrace')).toMatchObject({ rivals: ['echo', 'millrace'] });
});

test('--before adds the rival of the other checkout, and no other option does', () => {
  expect(read('--rivals', 'millrace', '--before', '/tmp/other')).toMatchObject({
    rivals: ['millrace', 'before'],
    before: '/tmp/other',
  });
  expect(read().rivals).not.toContain('before');
  expect(read('--rivals', 'millrace,before').rivals).toEqual(['millrace']);
});

test('--traces is a share', () => {
  expect(read().traces).toBeUndefined();
  expect(read('--traces', '0.01').traces).toBe(0.01);
  for (const wrong of ['2', '-1', 'all', ''])
    expect(() => read(`--traces=${wrong}`)).toThrow('--traces must be a number');
});

test('an unknown name or an invalid number is refused', () => {
  expect(() => read('--only', 'hits')).toThrow("There is no scenario 'hits'; there are hit, queue.");
  expect(() => read('--rivals', 'triton')).toThrow("There is no rival 'triton'");
  expect(() => read('--seconds', '0')).toThrow('--seconds must be a whole number, 1 or more.');
  expect(() => read('--second', '5')).toThrow("'--second'");
});
