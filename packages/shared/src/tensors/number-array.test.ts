import { describe, expect, test } from 'vitest';
import { type NumberArray, NumberScan, withPlainArrays } from './number-array.ts';
import { elementsOf } from './number-elements.ts';
import type { Dtype } from './tensor.ts';
import { DTYPES } from './tensor.ts';
import { parseTensor } from './tensor-json.ts';

function scan(text: string, at = 0): NumberArray | undefined {
  const one = new NumberScan(Buffer.from(text), at);
  while (!one.step());
  return one.array;
}

/** Numbers of the kinds on which decimal conversions fail, from a fixed sequence. */
function hardNumbers(count: number): string[] {
  let seed = 1;
  const random = () => {
    seed = (Math.imul(seed, 1_103_515_245) + 12_345) >>> 0;
    return seed / 2 ** 32;
  };
  const bits = new DataView(new ArrayBuffer(8));
  const kinds = [
    () => String(Math.fround(random() * 2 - 1)),
    () => String((random() - 0.5) * 10 ** Math.trunc(random() * 40 - 20)),
    () => (random() * 10 - 5).toFixed(Math.trunc(random() * 20)),
    () => (random() * 1e-3).toExponential(Math.trunc(random() * 20)),
    () => `${(random() * 100).toPrecision(17)}e${Math.trunc(random() * 80 - 40)}`,
    () => String(BigInt(Math.trunc(random() * 2 ** 53)) * 1_027n + 1n),
    () => `${Math.trunc(random() * 2 ** 53)}${String(random()).slice(2)}`,
    () => {
      bits.setUint32(0, random() * 2 ** 32);
      bits.setUint32(4, random() * 2 ** 32);
      return Number.isFinite(bits.getFloat64(0)) ? String(bits.getFloat64(0)) : '0';
    },
  ];
  return Array.from({ length: count }, (_, at) => kinds[at % kinds.length]?.() ?? '0');
}

describe('the scanner of numbers', () => {
  test('returns the number of JSON.parse for each number', () => {
    const special = ['-0', '0e5', '-0.0', '1E2', '5e-324', '2.4703282292062328e-324', '1.7976931348623157e308'];
    const ties = ['9007199254740993', '9007199254740993.0000000000001', '0.1e1', '1e-22', '1e23', '8.5e-323'];
    const texts = [...special, ...ties, ...hardNumbers(200_000)];
    const array = scan(`[${texts.join(' ,\n')}]`);
    const wrong = texts.filter((text, at) => !Object.is(array?.values[at], JSON.parse(text)));
    expect(wrong).toEqual([]);
  });

  test('a float32 is the double of JSON.parse, rounded again', () => {
    const texts = hardNumbers(200_000).filter((text) => Math.abs(Number(text)) < 3.4e38);
    const array = scan(`[${texts.join()}]`);
    const data = array && elementsOf('float32', array.values);
    const wrong = texts.filter((text, at) => !Object.is(data?.[at], Math.fround(JSON.parse(text))));
    expect(texts.length).toBeGreaterThan(100_000);
    expect(wrong).toEqual([]);
  });

  test.each([
    [
      'long, then short',
      Array.from({ length: 60_000 }, (_, at) => (at < 500 ? `0.${'1'.repeat(15)}${at}` : `${at % 10}`)),
    ],
    [
      'short, then long',
      Array.from({ length: 60_000 }, (_, at) => (at < 9_000 ? `${at % 10}` : `0.${'2'.repeat(15)}${at}`)),
    ],
  ])('reads numbers that are %s, also before a long text', (_, texts) => {
    for (const behind of ['', `,"${'x'.repeat(400_000)}"`]) {
      const array = scan(`[${texts.join()}]${behind}`);
      expect(array?.dims).toEqual([60_000]);
      expect(array?.toJSON()).toEqual(texts.map(Number));
      // Unused memory stays bounded.
      expect(array?.values.buffer.byteLength).toBeLessThan(2.1 * 8 * 60_000);
    }
  });

  test('reads nested arrays of equal lengths, and states where the array ends', () => {
    const array = scan('[[[1,2,3]],[[4,5,6]]]');
    expect(array?.dims).toEqual([2, 1, 3]);
    expect(array?.arrays).toBe(5);
    expect(array?.toJSON()).toEqual([[[1, 2, 3]], [[4, 5, 6]]]);
    const inside = new NumberScan(Buffer.from('{"x": [1, 2] }'), 6);
    expect([inside.step(), inside.at]).toEqual([true, 12]);
  });

  test.each([
    ...['[]', '[[]]', '[1,]', '[,1]', '[1,,2]', '[1 2]', '[1', '[[1]', '[1}'],
    ...['[01]', '[1.]', '[.5]', '[1e]', '[1e+]', '[-]', '[--1]', '[+1]', '[1.5.5]', '[0x1]', '[NaN]', '[1e400]'],
    ...['[[1],[1,2]]', '[[1],2]', '[1,[2]]', '[1,"a"]', '[null]', '[[[[[[[[[1]]]]]]]]]'],
  ])('refuses %s', (text) => {
    expect(scan(text)).toBeUndefined();
  });

  test('reads two long arrays alternately, in chunks that cut numbers', () => {
    const texts = [hardNumbers(40_000), hardNumbers(40_001).map((text) => text.replace(/^-?/, '-'))];
    const scans = texts.map((numbers) => new NumberScan(Buffer.from(`[${numbers.join()}]`), 0));
    const open = new Set(scans);
    while (open.size > 0) for (const one of open) if (one.step()) open.delete(one);
    for (const [at, numbers] of texts.entries()) expect(scans[at]?.array?.toJSON()).toEqual(numbers.map(Number));
  });
});

test('nested arrays replace the arrays of numbers of a value', () => {
  const value = { a: [{ b: scan('[[1,2],[3,4]]') }], c: 'd' };
  expect(withPlainArrays(value)).toEqual({
    a: [
      {
        b: [
          [1, 2],
          [3, 4],
        ],
      },
    ],
    c: 'd',
  });
  const plain = { a: [1, { b: null }] };
  expect(withPlainArrays(plain)).toBe(plain);
});

describe('a tensor of a NumberArray equals the tensor of nested arrays', () => {
  const texts = [
    '[0,1,1,0]',
    '[-0,0.5,1e-7,65504]',
    '[-1,127,-128,3]',
    '[255,65535,4294967295,2147483648]',
    '[9007199254740991,-9007199254740991,1,2]',
    '[9007199254740993,1,2,3]',
    '[1,2,3.4028235e38,4]',
    '[1,2,3.4028235677973366e38,4]',
    '[65519,65520,1,2]',
    '[[1,2],[3,4]]',
  ];
  const outcome = (dtype: Dtype, json: unknown, free: boolean) => {
    try {
      return parseTensor({ name: 'x', dtype, shape: free ? ['...'] : [4] }, json, '/x');
    } catch (error) {
      return error;
    }
  };
  test.each(DTYPES.flatMap((dtype) => texts.map((text) => [dtype, text] as const)))('%s of %s', (dtype, text) => {
    const array = scan(text);
    const shaped = (data: unknown) => ({ shape: [2, 2], data });
    for (const free of [true, false]) {
      expect(outcome(dtype, array, free)).toEqual(outcome(dtype, JSON.parse(text), free));
      expect(outcome(dtype, shaped(array), free)).toEqual(outcome(dtype, shaped(JSON.parse(text)), free));
    }
  });
});
