/** Equal inputs have one key, and different inputs have different keys: the canonical forms with the keys. */
import { isDeepStrictEqual } from 'node:util';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parseTensorInput } from '../tensors/tensor-json.ts';
import { tensorRowText } from '../tensors/tensor-rows.ts';
import { canonicalJson } from '../text/canonical-json.ts';
import { cacheKey } from './cache-key.ts';

const RUNS = { numRuns: 100_000 };
const TIMEOUT = { timeout: 60_000 };
const parts = (row: string) => ({ scope: 'public', digest: 'd', row });
const keyOf = (value: unknown) => cacheKey(parts(canonicalJson(value)));

/** The same value with its members in another order, through JSON text. */
function respelt(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(respelt);
  if (typeof value !== 'object' || value === null) return Object.is(value, -0) ? 0 : value;
  const entries = Object.entries(value).reverse();
  // defineProperty: `__proto__` is a name like any other in JSON.
  const out = {};
  for (const [key, item] of entries)
    Object.defineProperty(out, key, { value: respelt(item), enumerable: true, configurable: true, writable: true });
  return out;
}

const LEAVES = ['a', 'A', '\ud800', '"', '\\', ',', '', 1, 1.5, -0, true, null, '1', 'null'];
const FEW = LEAVES.length ** 2 * 4 - 1;

/** One of a few hundred small values for each number, many of them alike. */
function smallValue(number: number): unknown {
  const a = LEAVES[Math.floor(number / 4) % LEAVES.length];
  const b = LEAVES[Math.floor(number / 4 / LEAVES.length)];
  return [[a, b], [[a], b], { x: a, y: b }, { y: [b], [String(a)]: b }][number % 4];
}

test('equal values in any spelling have one text, which parses to the value', TIMEOUT, () => {
  fc.assert(
    fc.property(fc.jsonValue({ maxDepth: 2 }), (value) => {
      const text = canonicalJson(value);
      if (canonicalJson(respelt(JSON.parse(JSON.stringify(value, null, 2)))) !== text) throw new Error(text);
      if (canonicalJson(JSON.parse(text)) !== text) throw new Error(text);
    }),
    { numRuns: 20_000 },
  );
});

test('two inputs share a key if and only if they are equal values', TIMEOUT, () => {
  // From few letters, so that equal and nearly equal pairs come up often.
  const few = fc.nat(FEW).map(smallValue);
  fc.assert(
    fc.property(few, few, (a, b) => {
      if ((keyOf(a) === keyOf(b)) !== isDeepStrictEqual(respelt(a), respelt(b))) throw new Error('differ');
    }),
    RUNS,
  );
});

describe('raw tensors', () => {
  const row = (json: unknown) =>
    tensorRowText(
      parseTensorInput(
        [
          { name: 'b', dtype: 'float32', shape: ['n'] },
          { name: 'a', dtype: 'int64', shape: ['k'] },
        ],
        json,
      ),
    );
  test('1 and 1.0, key order, and the form of the tensor do not matter', () => {
    const key = cacheKey(parts(row(JSON.parse('{"a":[1,2],"b":[1.0,0.5]}'))));
    expect(cacheKey(parts(row(JSON.parse('{"b":{"shape":[2],"data":[1,5e-1]},"a":["1","2"]}'))))).toBe(key);
  });
  test('two int64 that are one JSON number are two keys', () => {
    const keys = ['9007199254740992', '9007199254740993'].map((long) => cacheKey(parts(row({ a: [long], b: [] }))));
    expect(keys[0]).not.toBe(keys[1]);
  });
  test('any other bit, shape or place is another key', TIMEOUT, () => {
    const input = fc.record({
      a: fc.array(fc.integer({ min: -2, max: 2 }), { maxLength: 2 }),
      b: fc.array(fc.constantFrom(0, -0, 1, 1e-45), { maxLength: 2 }),
    });
    fc.assert(
      fc.property(input, input, (x, y) => {
        const same =
          x.a.length === y.a.length &&
          x.b.length === y.b.length &&
          x.a.every((value, i) => value === y.a[i]) &&
          x.b.every((value, i) => Object.is(value, y.b[i]));
        if ((cacheKey(parts(row(x))) === cacheKey(parts(row(y)))) !== same) throw new Error('differ');
      }),
      RUNS,
    );
  });
});
