import fc from 'fast-check';
import { expect, test } from 'vitest';
import { canonicalJson } from './canonical-json.ts';

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
