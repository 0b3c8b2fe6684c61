import { newPredictionId } from '@millrace/shared/predictions/ids';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { decodeCursor, encodeCursor } from './cursor.ts';

describe('a cursor', () => {
  test('decodes to the encoded id', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: 15 }),
        fc.integer({ min: 0, max: 2 ** 45 }),
        fc.string(),
        (shard, ms, list) => {
          const id = newPredictionId(shard, ms);
          expect(decodeCursor(list, encodeCursor(list, id))).toBe(id);
        },
      ),
    );
  });

  test('fits no other list', () => {
    const cursor = encodeCursor('default failed', newPredictionId(1, 1));
    expect(() => decodeCursor('default', cursor)).toThrow('other filters');
  });

  test('is refused if the text is invented', () => {
    fc.assert(
      fc.property(fc.string(), (text) => {
        expect(() => decodeCursor('default', text)).toThrow('not one of ours');
      }),
    );
  });
});
