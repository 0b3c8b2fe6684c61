import fc from 'fast-check';
import { expect, test, vi } from 'vitest';
import { canonicalJson } from './canonical-json.ts';

test('matches the examples of RFC 8785', () => {
  const numbers = [Number('333333333.33333329'), 1e30, 4.5, 2e-3, 0.000000000000000000000000001];
  expect(
    canonicalJson({ numbers, string: '\u20ac$\u000F\u000aA\'\u0042\u0022\u005c\\"/', literals: [null, true, false] }),
  ).toBe(
    '{"literals":[null,true,false],"numbers":[333333333.3333333,1e+30,4.5,0.002,1e-27],"string":"€$\\u000f\\nA\'B\\"\\\\\\\\\\"/"}',
  );
  expect(canonicalJson({ '\u20ac': 1, '\r': 2, '\ufb33': 3, '1': 4, '\u{1f600}': 5, '\u0080': 6, '\u00f6': 7 })).toBe(
    '{"\\r":2,"1":4,"\u0080":6,"ö":7,"€":1,"😀":5,"\ufb33":3}',
  );
});
test('refuses values that are not JSON', () => {
  for (const bad of [Number.NaN, Infinity, undefined, 1n, () => 1, Symbol('s'), [undefined]])
    expect(() => canonicalJson(bad)).toThrow(TypeError);
  expect(canonicalJson({ a: undefined, b: 1 })).toBe('{"b":1}');
});

test('the text of an array consists of the texts of its items', () => {
  const item = fc.oneof(
    fc.double({ noNaN: true, noDefaultInfinity: true }),
    fc.string({ unit: 'binary' }),
    fc.jsonValue(),
  );
  fc.assert(
    fc.property(fc.array(item), (items) => {
      expect(canonicalJson(items)).toBe(`[${items.map((item) => canonicalJson(item)).join()}]`);
    }),
  );
});

test.each([[[undefined]], [[1, Number.NaN]], [[Number.POSITIVE_INFINITY]]])('%j is rejected', (items) => {
  expect(() => canonicalJson(items)).toThrow(TypeError);
});

test('an array of plain values is written by one call, because a call for each number takes ten times as long', () => {
  const stringify = vi.spyOn(JSON, 'stringify');
  const calls = (value: unknown) => {
    stringify.mockClear();
    canonicalJson(value);
    return stringify.mock.calls.length;
  };
  const counts = [
    [1, 2.5],
    ['a', 'b'],
    [true, false],
    [null, null],
    [1, 'a', true, null],
    [[1], 'a'],
  ].map(calls);
  stringify.mockRestore();
  expect(counts).toEqual([1, 1, 1, 1, 1, 2]);
});
