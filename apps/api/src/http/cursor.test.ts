import { newPredictionId } from '@millrace/shared/predictions/ids';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { decodeCursor, decodePlace, encodeCursor, encodePlace } from './cursor.ts';

function failureOf(decode: () => unknown): unknown {
  try {
    return decode();
  } catch (error) {
    return error;
  }
}

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

  test('is refused in another spelling, and if its id is no id of a prediction', () => {
    const cursor = encodeCursor('default', newPredictionId(1, 1));
    expect(() => decodeCursor('default', `${cursor}=`)).toThrow('The cursor is damaged');
    const other = encodeCursor('default', '01234567-0123-4000-8000-000000000000');
    expect(() => decodeCursor('default', other)).toThrow('The cursor is damaged');
  });

  test('is refused with its place in the request and with its first characters', () => {
    expect(failureOf(() => decodeCursor('default', 'x'.repeat(10_000)))).toMatchObject({
      code: 'invalid_cursor',
      faults: [
        {
          in: 'query',
          pointer: 'cursor',
          message: 'The cursor is damaged, or this API did not return the cursor',
          expected: '`next` of the previous page, with the same filters',
          got: 'x'.repeat(100),
        },
      ],
    });
  });

  test('fits no other list', () => {
    const cursor = encodeCursor('default failed', newPredictionId(1, 1));
    expect(() => decodeCursor('default', cursor)).toThrow('other filters');
  });

  test('of a place decodes to the place', () => {
    expect(decodePlace('a', encodePlace('a', [7, 'b']), [0, ''])).toEqual([7, 'b']);
  });

  test.each([[[7]], [['b', 7]], [[7, 'b', 1]], [[1.5, 'b']], [[2 ** 53, 'b']], [[7, 'b\0']], [[7, '\ud800']]])(
    'of a place is refused with values that Postgres cannot read: %j',
    (place) => {
      expect(() => decodePlace('a', encodePlace('a', place), [0, ''])).toThrow('The cursor is damaged');
    },
  );

  test('is refused if the text is invented', () => {
    fc.assert(
      fc.property(fc.string(), (text) => {
        expect(() => decodeCursor('default', text)).toThrow('The cursor is damaged');
      }),
    );
  });
});
