import { createHash } from 'node:crypto';
import { isDeepStrictEqual } from 'node:util';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parseTensorInput } from '../tensors/tensor-json.ts';
import { tensorRowText } from '../tensors/tensor-rows.ts';
import { canonicalJson } from '../text/canonical-json.ts';
import { cacheKey, cacheKeyInTurns } from './cache-key.ts';

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

describe('canonical JSON', () => {
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
});

describe('the key', () => {
  test('is 64 hex digits that depend on every part', () => {
    const key = cacheKey({ scope: 'a', digest: 'b', row: 'c' });
    expect(key).toMatch(/^[0-9a-f]{64}$/);
    for (const other of [{ scope: 'x' }, { digest: 'x' }, { row: 'x' }])
      expect(cacheKey({ scope: 'a', digest: 'b', row: 'c', ...other })).not.toBe(key);
  });
  // Short bytes and long bytes are hashed by different calls.
  test.each([0, 1, 8_191, 8_192, 8_193, 100_000])('of %d bytes depends on every part and on every byte', (length) => {
    const row = Buffer.alloc(length, 7);
    const key = cacheKey({ scope: 'a', digest: 'b', row });
    const expected = createHash('sha256').update(`1:a,1:b,b${length}:`).update(row).digest('hex');
    expect(key).toBe(expected);
    const pieces = { pieces: [row.subarray(0, 5), row.subarray(5)], length };
    expect(cacheKey({ scope: 'a', digest: 'b', row: pieces })).toBe(expected);
    const longer = Buffer.concat([row, Buffer.from([7])]);
    const text = row.toString('latin1');
    for (const other of [{ scope: 'x' }, { digest: 'x' }, { row: longer }, { row: text }])
      expect(cacheKey({ scope: 'a', digest: 'b', row, ...other })).not.toBe(key);
  });
  test.each([
    ['one Buffer', [9_000_000]],
    ['pieces', [1, 4_194_303, 65_536, 4_194_304, 3]],
  ])('of a long row in %s is the same in several turns of the event loop', async (_, lengths) => {
    const pieces = lengths.map((length, at) => Buffer.alloc(length, at + 1));
    const length = lengths.reduce((sum, one) => sum + one);
    const [first] = pieces;
    const row = pieces.length === 1 && first ? first : { pieces, length };
    let turns = 0;
    const count = (): void => {
      turns += 1;
      next = setImmediate(count);
    };
    let next = setImmediate(count);
    const key = await cacheKeyInTurns({ scope: 'a', digest: 'b', row });
    clearImmediate(next);
    expect(key).toBe(cacheKey({ scope: 'a', digest: 'b', row }));
    expect(turns).toBeGreaterThanOrEqual(2);
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
  test('no part can be read as the end of another part', TIMEOUT, () => {
    const text = fc.string({ unit: fc.constantFrom('1', ':', ',', 'a'), maxLength: 4 });
    const key = fc.record({ scope: text, digest: text, row: text });
    fc.assert(
      fc.property(key, key, (a, b) => {
        const same = a.scope === b.scope && a.digest === b.digest && a.row === b.row;
        if ((cacheKey(a) === cacheKey(b)) !== same) throw new Error('differ');
      }),
      RUNS,
    );
  });
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
