import { describe, expect, test } from 'vitest';
import { float32Text } from './float-text.ts';

const numberOf = (bits: number): number => new Float32Array(Uint32Array.of(bits).buffer)[0] as number;
const textOf = (value: number): string => float32Text(Float32Array.of(value));

/** By definition: the first of all roundings to 1, 2, 3 … digits that is the same float32. */
function shortest(value: number): string {
  for (let digits = 1; digits <= 9; digits++) {
    const rounded = Number(value.toPrecision(digits));
    if (Math.fround(rounded) === value) return String(rounded);
  }
  throw new Error(`${value} is no float32`);
}

describe('the text of a float32', () => {
  test('has the fewest digits, and parses to the same float32', () => {
    // A linear congruential generator visits all parts of the 2^32 patterns of bits.
    for (let round = 0, bits = 1; round < 200_000; round++, bits = (Math.imul(bits, 1_664_525) + 1_013_904_223) >>> 0) {
      const value = numberOf(bits);
      const isWhole = Number.isInteger(value) && Math.abs(value) < 2 ** 53;
      // Below a power of two the numbers are twice as close, and a rounding can leave the range on one side only.
      if (!Number.isFinite(value) || (bits & 0x7f_ff_ff) === 0) continue;
      const [text, expected] = [textOf(value), isWhole ? String(value) : shortest(value)];
      if (text === expected) continue;
      // Two decimals of the same length can be equally close.
      expect(text, `bits ${bits.toString(16)}`).toHaveLength(expected.length);
      expect(Math.fround(Number(text))).toBe(value);
      expect(Math.abs(Number(text) - value)).toBe(Math.abs(Number(expected) - value));
    }
  });
  test('of a power of two parses to the same float32, with at most nine digits', () => {
    for (let exponent = -149; exponent < 128; exponent++) {
      const text = textOf(2 ** exponent);
      expect(Math.fround(Number(text))).toBe(2 ** exponent);
      if (exponent < 0) expect(text.replace(/e.*|^0\.0*|\./g, '').length).toBeLessThanOrEqual(9);
    }
  });
  test.each([
    [0, '0'],
    [-0, '-0'],
    [Number.NaN, '"NaN"'],
    [Number.POSITIVE_INFINITY, '"Infinity"'],
    [Number.NEGATIVE_INFINITY, '"-Infinity"'],
    [0.1, '0.1'],
    [-1.5, '-1.5'],
    [100, '100'],
    [8578.123, '8578.123'],
    [16_777_217, '16777216'],
    [123_456_789, '123456792'],
    [2 ** 53 - 2 ** 29, '9007198717870080'],
    [1e-6, '0.000001'],
    [1.2345679e-6, '0.0000012345679'],
    [1e-7, '1e-7'],
    [1.2345679e-7, '1.2345679e-7'],
    [9.9e20, '990000000000000000000'],
    [1e21, '1e+21'],
    [1e-45, '1e-45'],
    [1.1754944e-38, '1.1754944e-38'],
    [-3.4028235e38, '-3.4028235e+38'],
  ])('%d is %s', (value, text) => {
    expect(textOf(value)).toBe(text);
  });
});

test.each([0, 1, 4_095, 4_096, 4_097, 8_192, 12_289])('%d numbers are separated by commas', (count) => {
  // The longest texts fill the memory of a chunk.
  const values = Float32Array.from({ length: count }, (_, at) => -(9.9e20 + at * 1e15));
  expect(float32Text(values)).toBe(Array.from(values, textOf).join(','));
  expect(JSON.parse(`[${float32Text(values)}]`).map(Math.fround)).toEqual([...values]);
});

test('the numbers of a view are written, and not those beside it', () => {
  expect(float32Text(Float32Array.of(1, 2, 3, 4).subarray(1, 3))).toBe('2,3');
});
