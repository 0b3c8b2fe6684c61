import { expect, test } from 'vitest';
import { pgArray } from './pg-arrays.ts';

test('an array without elements has no dimension', () => {
  expect(pgArray('text', []).toString('hex')).toBe('000000000000000100000019');
});

test('text is UTF-8 after its length in bytes, and null has length -1', () => {
  const header = '00000001' + '00000001' + '00000019' + '00000003' + '00000001';
  expect(pgArray('text', ['aü', null, '']).toString('hex')).toBe(`${header}0000000361c3bcffffffff00000000`);
});

test('a value that does not fit its type is refused before the statement is sent', () => {
  expect(() => pgArray('uuid', ['0197c7f0'])).toThrow("'0197c7f0' is not a UUID");
  expect(() => pgArray('int8', [Number.NaN])).toThrow('NaN is not a whole number');
  expect(() => pgArray('int8', [1.5])).toThrow(RangeError);
  expect(() => pgArray('int4', [2 ** 31])).toThrow(RangeError);
});
