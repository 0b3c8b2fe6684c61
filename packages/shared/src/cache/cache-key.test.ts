import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type CacheKeyParts, cacheKey, cacheKeyInTurns } from './cache-key.ts';

const RUNS = { numRuns: 100_000 };
const TIMEOUT = { timeout: 60_000 };

/** The key of a row, and the number of turns of the event loop that other work had before the key. */
async function inTurns(row: CacheKeyParts['row']): Promise<{ key: string; turns: number }> {
  let turns = 0;
  const count = (): void => {
    turns += 1;
    next = setImmediate(count);
  };
  let next = setImmediate(count);
  const key = await cacheKeyInTurns({ scope: 'a', digest: 'b', row });
  clearImmediate(next);
  return { key, turns };
}

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
  test.each([299, 300, 10_000])(
    'with a scope of %d characters and the longest short row depends on every byte',
    (characters) => {
      const row = Buffer.alloc(8_192, 7);
      // Each character has three bytes.
      const scope = '\u20ac'.repeat(characters);
      const expected = createHash('sha256').update(`${characters}:${scope},1:b,b8192:`).update(row).digest('hex');
      expect(cacheKey({ scope, digest: 'b', row })).toBe(expected);
      expect(cacheKey({ scope, digest: 'b', row })).toBe(expected);
    },
  );
  test.each([
    ['one Buffer', [9_000_000]],
    ['pieces', [1, 4_194_303, 65_536, 4_194_304, 3]],
  ])('of a long row in %s is the same in several turns of the event loop', async (_, lengths) => {
    const pieces = lengths.map((length, at) => Buffer.alloc(length, at + 1));
    const length = lengths.reduce((sum, one) => sum + one);
    const [first] = pieces;
    const row = pieces.length === 1 && first ? first : { pieces, length };
    const { key, turns } = await inTurns(row);
    expect(key).toBe(cacheKey({ scope: 'a', digest: 'b', row }));
    expect(turns).toBe(2);
  });
  test.each([
    ['text', 0, 'c'],
    ['long text', 0, 'c'.repeat(5_000_000)],
    ['no bytes', 0, Buffer.alloc(0)],
    ['the bytes of one turn', 0, Buffer.alloc(4_194_304, 1)],
    ['a byte more than one turn', 1, Buffer.alloc(4_194_305, 1)],
  ])('of %s is the same in turns, after %d other turns', async (_, others, row) => {
    const { key, turns } = await inTurns(row);
    expect(key).toBe(cacheKey({ scope: 'a', digest: 'b', row }));
    expect(turns).toBe(others);
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
