import { expect, test } from 'vitest';
import { parsePredictJob, rowsAhead } from './job.ts';

const ID = '01a20d70-b864-7003-81b6-471cc51458d6';
const task = (rows: string[], known?: (string | null)[]) =>
  JSON.stringify({ shape: 'list', rows, keys: rows.map(() => null), digest: 'd', epoch: 0, known });

test('a small job tells the rows that it needs computed: each once, and none that is known', () => {
  expect(rowsAhead([task(['1', '2', '2']), task(['2', '3'], ['"known"', null])])).toEqual(['1', '2', '3']);
  expect(rowsAhead([task(['1'], ['"known"'])])).toEqual([]);
});

test('a job of many predictions, or of long ones, tells none', () => {
  expect(rowsAhead(Array.from({ length: 5 }, () => task(['1'])))).toBeUndefined();
  expect(rowsAhead([task(['1']), task([`"${'x'.repeat(1_024)}"`])])).toBeUndefined();
});

test.each([
  { v: 1, version: '1', ids: [ID] },
  { v: 1, version: '1', ids: [ID], ahead: ['["a","b"]'] },
])('takes %j', (job) => {
  expect(parsePredictJob(job)).toEqual(job);
});

test.each([
  null,
  { v: 2, version: '1', ids: [] },
  { v: 1, version: '1', ids: ['x'] },
  { v: 1, version: '1', ids: [ID], ahead: [7] },
  { v: 1, version: '1', ids: [ID], ahead: 'x' },
])('refuses %j', (job) => {
  expect(() => parsePredictJob(job)).toThrow('expected a job {v: 1, version, ids, ahead?}, got');
});
