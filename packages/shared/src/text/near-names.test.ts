import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { editDistance, nearNames } from './near-names.ts';

describe('the number of edits', () => {
  test.each([
    ['', '', 0],
    ['same', 'same', 0],
    ['kitten', 'sitting', 3],
    ['sunday', 'saturday', 3],
    ['abc', '', 3],
    ['', 'abc', 3],
    ['ab', 'ba', 1],
    ['xab', 'xba', 1],
    ['abcd', 'badc', 2],
    ['ab', 'bca', 3],
    ['abc', 'abd', 1],
    ['abc', 'ab', 1],
    ['bc', 'abc', 1],
    ['aab', 'aba', 1],
  ])('from %j to %j is %d', (a, b, edits) => {
    expect(editDistance(a, b, 10)).toBe(edits);
    expect(editDistance(b, a, 10)).toBe(edits);
    expect(editDistance(a, b, edits)).toBe(edits);
    if (edits > 0) expect(editDistance(a, b, edits - 1)).toBe(edits);
  });

  test('is at most the number of edits that were made, and above the limit one more than the limit', () => {
    const edit = fc.record({ at: fc.nat(7), letter: fc.constantFrom('a', 'b', 'c', '') });
    fc.assert(
      fc.property(fc.string({ unit: fc.constantFrom('a', 'b', 'c'), maxLength: 8 }), fc.array(edit), (text, edits) => {
        let other = text;
        for (const { at, letter } of edits) other = other.slice(0, at) + letter + other.slice(at + 1);
        const distance = editDistance(text, other, 100);
        expect(distance).toBeLessThanOrEqual(edits.length);
        expect(distance === 0).toBe(text === other);
        expect(editDistance(other, text, 100)).toBe(distance);
        for (let limit = 0; limit < distance; limit += 1) expect(editDistance(text, other, limit)).toBe(limit + 1);
      }),
    );
  });
});

test('equally near names are sorted by name, and at most three are returned', () => {
  expect(nearNames('model', ['modes', 'modem', 'yodel', 'mode', 'model2'])).toEqual(['model2', 'mode', 'modem']);
  expect(nearNames('model', ['modes', 'modem', 'yodel', 'mode'], 10)).toEqual(['mode', 'modem', 'modes', 'yodel']);
});

test('letter case does not matter, and the name is returned as it is known', () => {
  expect(nearNames('WARFARIN', ['Warfarin'])).toEqual(['Warfarin']);
  expect(nearNames('warf', ['Warfarin'])).toEqual(['Warfarin']);
});

test('a short name has one edit, and the beginning of a name has three letters', () => {
  expect(nearNames('ab', ['xb', 'xy', 'abcdef'])).toEqual(['xb']);
  expect(nearNames('abc', ['abcdefghij', 'abx'])).toEqual(['abcdefghij', 'abx']);
  expect(nearNames('', ['a', 'ab'])).toEqual(['a']);
});

test('only similar names are returned, nearest first', () => {
  expect(nearNames('expiresin', ['input', 'expires_in', 'expires_on', 'metadata'])).toEqual([
    'expires_in',
    'expires_on',
  ]);
  expect(nearNames('drug-', ['drug-interaction', 'echo'])).toEqual(['drug-interaction']);
});

test('a search among many long names ends early', () => {
  let looked = 0;
  function* names() {
    for (; looked < 100_000; looked += 1) yield `${'x'.repeat(90)}${looked}`;
  }
  nearNames('y'.repeat(1_000_000), names());
  expect(looked).toBeLessThan(100);
});

test('names of another length cost nothing, so that a search passes over many of them', () => {
  const others = Array.from({ length: 100_000 }, (_, n) => `another name of a model ${n}`);
  expect(nearNames('echo', [...others, 'ecko'])).toEqual(['ecko']);
  expect(nearNames('echo', [...others, ...others, ...others, ...others, ...others, 'ecko'])).toEqual([]);
});
