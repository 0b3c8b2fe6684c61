import { expect, test } from 'vitest';
import { optionsOf } from '../chaos/options.ts';
import { parsePart, partOf } from '../chaos/part.ts';

const TABLE = Array.from({ length: 47 }, (_, at) => `fault ${at}`);

test.each([1, 5, 12, 60])('any %d consecutive numbers of parts together have every fault once', (of) => {
  const first = 20_783;
  const parts = Array.from({ length: of }, (_, at) => partOf(TABLE, parsePart(`${first + at}/${of}`)));
  expect(parts.flat().sort()).toEqual([...TABLE].sort());
});

test.each(['', '3', '/12', '3/', '3/0', '-1/12', '1.5/12', '3/12/4', 'x/12'])('refuses the part %j', (text) => {
  expect(() => optionsOf([`--part=${text}`])).toThrow('--part must be NUMBER/OF');
});

test('without the option every fault is in the run', () => {
  expect(optionsOf([]).part).toEqual({ number: 0, of: 1 });
});
