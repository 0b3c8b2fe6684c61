import { expect, test } from 'vitest';
import { doublesOf, floatsOf } from './short-arrays.ts';

/** Lengths from no number to more than a short array has. */
const LENGTHS = Array.from({ length: 600 }, (_, at) => at);

test('arrays that share blocks keep their own numbers', () => {
  const made = LENGTHS.map((length) => {
    const numbers = Float64Array.from({ length }, (_, at) => length + at / 7);
    return { numbers, doubles: doublesOf(numbers, length), floats: floatsOf(numbers) };
  });
  for (const { numbers, doubles, floats } of made) {
    expect(doubles).toEqual(numbers);
    expect(floats).toEqual(new Float32Array(numbers));
  }
});

test('a copy has the first numbers alone, and does not change with the numbers', () => {
  const numbers = Float64Array.from([1.5, -0, 3]);
  const doubles = doublesOf(numbers, 2);
  const floats = floatsOf(numbers);
  numbers.fill(9);
  expect([...doubles]).toEqual([1.5, -0]);
  expect([...floats]).toEqual([1.5, -0, 3]);
});

test('a long array has memory of its own, and a short array takes at most a block', () => {
  const numbers = new Float64Array(10_000);
  expect(doublesOf(numbers, 10_000).buffer.byteLength).toBe(80_000);
  expect(floatsOf(numbers).buffer.byteLength).toBe(40_000);
  expect(doublesOf(numbers, 3).buffer.byteLength).toBe(16_384);
});
