import fc from 'fast-check';
import { expect, test } from 'vitest';
import { PieceList } from './body-pieces.ts';

const listOf = (pieces: readonly Buffer[]): PieceList => {
  const list = new PieceList();
  for (const piece of pieces) list.add(piece);
  return list;
};
const bytesOf = (list: PieceList): Buffer => {
  const body = list.body();
  return Buffer.isBuffer(body) ? body : body.joined();
};

test('a body is the same in any pieces', () => {
  const sizes = fc.array(fc.oneof(fc.nat(20), fc.integer({ min: 16_000, max: 70_000 })), { maxLength: 60 });
  fc.assert(
    fc.property(sizes, (lengths) => {
      const pieces = lengths.map((length, at) => Buffer.alloc(length, at));
      const list = listOf(pieces);
      expect(bytesOf(list).equals(Buffer.concat(pieces))).toBe(true);
      expect(list.bytes).toBe(Buffer.concat(pieces).length);
    }),
    { numRuns: 60 },
  );
});

test('a body that arrives byte by byte has few pieces', () => {
  const list = listOf(Array.from({ length: 300_000 }, (_, at) => Buffer.of(at % 256)));
  expect(bytesOf(list).at(-1)).toBe(299_999 % 256);
  expect(list.pieces.length).toBeLessThan(30);
});

test('a large piece between small pieces wastes no block', () => {
  const pieces = Array.from({ length: 200 }, (_, at) => Buffer.alloc(at % 2 === 0 ? 16_384 : 1, at));
  const list = listOf(pieces);
  list.body();
  const blocks = new Set(list.pieces.filter(({ length }) => length === 1).map(({ buffer }) => buffer));
  // The first 16 pieces are kept as they arrive, and half of the 16 have one byte.
  expect(blocks.size).toBe(9);
});
