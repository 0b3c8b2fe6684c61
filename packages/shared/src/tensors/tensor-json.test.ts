import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { InputError } from './input-error.ts';
import { DTYPES, type Dtype, type Tensor, type TensorSpec } from './tensor.ts';
import { newData, toHalfBits } from './tensor-data.ts';
import { parseTensorInput } from './tensor-json.ts';
import { joinRows, splitRows, tensorRowText, tensorsOfRow, tensorsToJson } from './tensor-rows.ts';

const spec = (dtype: Dtype, shape: TensorSpec['shape'], name = 'x'): TensorSpec => ({ name, dtype, shape });
const parse = (given: TensorSpec, json: unknown) => parseTensorInput([given], { [given.name]: json })[given.name]!;

function refusal(specs: TensorSpec | TensorSpec[], json: unknown) {
  try {
    parseTensorInput([specs].flat(), json);
  } catch (error) {
    if (error instanceof InputError) {
      const { pointer, message, expected, got, suggestions } = error;
      return { pointer, message, expected, got, suggestions };
    }
    throw error;
  }
  return 'accepted';
}

describe('forms of a tensor', () => {
  const matrix = spec('float32', ['n', 3]);
  test('nested, flat with a shape, nested with a shape, and bytes give the same tensor', () => {
    const bytes = Buffer.from(Float32Array.of(1, 2, 3, 4, 5, 6).buffer).toString('base64');
    const forms = [
      [
        [1, 2, 3],
        [4, 5, 6],
      ],
      { shape: [2, 3], data: [1, 2, 3, 4, 5, 6] },
      {
        shape: [2, 3],
        dtype: 'float32',
        data: [
          [1, 2, 3],
          [4, 5, 6],
        ],
      },
      { shape: [2, 3], base64: bytes },
    ];
    const texts = forms.map((form) => tensorRowText({ x: parse(matrix, form) }));
    expect(new Set(texts).size).toBe(1);
    expect(texts[0]).toBe(`{"x":{"dtype":"float32","dims":[2,3],"data":"${bytes}"}}`);
  });
  test('a scalar is a plain value', () => {
    expect(parse(spec('float32', []), 5)).toEqual({ dtype: 'float32', dims: [], data: Float32Array.of(5) });
    expect(parse(spec('string', []), 'a')).toEqual({ dtype: 'string', dims: [], data: ['a'] });
    expect(parse(spec('int8', []), { shape: [], data: [7] }).data).toEqual(Int8Array.of(7));
    expect(refusal(spec('float32', []), { x: [5] })).toMatchObject({ got: 'shape [1]' });
  });
  test('an empty array is an empty tensor of the rank of the model', () => {
    expect(parse(matrix, []).dims).toEqual([0, 3]);
    expect(parse(spec('float32', ['n', 'k', 2]), [[], []]).dims).toEqual([2, 0, 2]);
    expect(parse(matrix, { shape: [0, 3], data: [] }).data).toHaveLength(0);
  });
  test('a free rank accepts any rank', () => {
    const free = spec('float32', ['...']);
    expect(parse(free, 1).dims).toEqual([]);
    expect(parse(free, [[1, 2]]).dims).toEqual([1, 2]);
  });
});

describe('elements', () => {
  const ranges: [Dtype, number, number][] = [
    ['int8', -128, 127],
    ['int16', -32_768, 32_767],
    ['int32', -(2 ** 31), 2 ** 31 - 1],
    ['uint8', 0, 255],
    ['uint16', 0, 65_535],
    ['uint32', 0, 2 ** 32 - 1],
  ];
  test.each(ranges)('%s is from %d to %d', (dtype, least, greatest) => {
    expect([...parse(spec(dtype, ['n']), [least, greatest]).data]).toEqual([least, greatest]);
    for (const bad of [least - 1, greatest + 1, 0.5, '1', true, null, Infinity])
      expect(refusal(spec(dtype, ['n']), { x: [0, bad] })).toMatchObject({ pointer: '/x/1' });
  });
  test('integers beyond 2^53 must be strings, because JSON rounds numbers', () => {
    const long = spec('int64', ['n']);
    expect(parse(long, ['9007199254740993', 1, '-9223372036854775808']).data).toEqual(
      BigInt64Array.of(9007199254740993n, 1n, -(2n ** 63n)),
    );
    expect(refusal(long, JSON.parse('{"x":[9007199254740993]}'))).toMatchObject({
      pointer: '/x/0',
      expected: 'exact: write a number beyond 2^53 as a string',
    });
    for (const bad of ['9223372036854775808', '1.0', '', ' 1', '0x10', '1e3'])
      expect(refusal(long, { x: [bad] })).toMatchObject({ pointer: '/x/0' });
    expect(parse(spec('uint64', []), '18446744073709551615').data[0]).toBe(2n ** 64n - 1n);
    expect(refusal(spec('uint64', []), { x: -1 })).toMatchObject({ expected: expect.stringContaining('from 0 to') });
  });
  test('NaN and infinities are strings, and only floats accept them', () => {
    for (const dtype of ['float16', 'float32', 'float64'] as const) {
      const text = tensorsToJson({ y: parse(spec(dtype, ['n']), ['NaN', 'Infinity', '-Infinity', -0]) });
      expect(text).toBe(`{"y":{"dtype":"${dtype}","shape":[4],"data":["NaN","Infinity","-Infinity",-0]}}`);
    }
    for (const dtype of ['int32', 'int64', 'bool', 'uint8'] as const)
      expect(refusal(spec(dtype, []), { x: 'NaN' })).toMatchObject({ pointer: '/x', got: '"NaN"' });
  });
  test('a number beyond the range of a float is rejected, and a number that rounds to the greatest value is accepted', () => {
    for (const [dtype, bad, good] of [
      ['float16', 65_520, 65_519],
      ['float32', 3.5e38, 3.4028235e38],
      ['float64', JSON.parse('1e400'), 1e308],
    ] as const) {
      expect(refusal(spec(dtype, ['n']), { x: [bad] })).toMatchObject({ expected: `a number that ${dtype} can hold` });
      expect(refusal(spec(dtype, ['n']), { x: [good] })).toBe('accepted');
    }
  });
  test('bool accepts true, false, 1 and 0', () => {
    expect(parse(spec('bool', ['n']), [true, false, 1, 0]).data).toEqual(Uint8Array.of(1, 0, 1, 0));
    expect(refusal(spec('bool', []), { x: 2 })).toMatchObject({ expected: 'true or false' });
    expect(refusal(spec('bool', ['n']), { x: { shape: [1], base64: 'Ag==' } })).toMatchObject({ pointer: '/x/base64' });
  });
  test('strings that would not reach the model unchanged are rejected', () => {
    expect(refusal(spec('string', []), { x: 'a\ud800' })).toMatchObject({ pointer: '/x' });
    expect(refusal(spec('string', []), { x: 'a\0b' })).toMatchObject({ pointer: '/x' });
    expect(refusal(spec('string', []), { x: 1 })).toMatchObject({ expected: 'a string', got: '1' });
  });
});

describe('a fault has the place, the expected value and the received value', () => {
  const specs = [spec('float32', ['batch', 3], 'pixels'), spec('int64', ['batch'], 'ids')];
  const good = { pixels: [[1, 2, 3]], ids: [1] };
  const faults: [string, unknown, object][] = [
    ['no object', [1], { pointer: '', got: 'an array of 1', expected: 'pixels, ids' }],
    ['null', null, { pointer: '', got: 'null' }],
    ['missing', { ids: [1] }, { pointer: '/pixels', got: 'nothing', expected: 'float32[batch, 3]' }],
    ['a name like one', { ...good, pixel: 1 }, { pointer: '/pixel', suggestions: ['pixels'] }],
    ['a name like none', { ...good, zzz: 1 }, { suggestions: ['pixels', 'ids'] }],
    ['another rank', { ...good, pixels: [1, 2, 3] }, { got: 'shape [3]', expected: 'float32[batch, 3]' }],
    ['another size', { ...good, pixels: [[1, 2]] }, { got: 'shape [1, 2]' }],
    [
      'ragged',
      {
        ...good,
        pixels: [
          [1, 2, 3],
          [1, 2],
        ],
      },
      { pointer: '/pixels/1', got: 'an array of 2' },
    ],
    [
      'deeper than any recursion may go',
      { ...good, pixels: { shape: [1, 3], data: JSON.parse(`${'['.repeat(20_000)}1,2,3${']'.repeat(20_000)}`) } },
      { pointer: '/pixels/data', got: '1 elements' },
    ],
    [
      'one element that is deeper than any recursion may go',
      { ...good, ids: { shape: [1], data: JSON.parse(`${'['.repeat(20_000)}1${']'.repeat(20_000)}`) } },
      { pointer: `/ids/data${'/0'.repeat(65)}`, got: 'an array of 1' },
    ],
    ['too deep in one place', { ...good, pixels: [[1, 2, [3]]] }, { pointer: '/pixels/0/2', got: 'an array of 1' }],
    ['not deep enough', { ...good, pixels: [[1, 2, 3], 4] }, { pointer: '/pixels/1' }],
    [
      'other rows',
      {
        pixels: [
          [1, 2, 3],
          [1, 2, 3],
        ],
        ids: [1],
      },
      { pointer: '/ids', got: '1 rows', expected: '2 rows' },
    ],
    [
      'too little data',
      { ...good, pixels: { shape: [1, 3], data: [1] } },
      { pointer: '/pixels/data', got: '1 elements' },
    ],
    ['too much data', { ...good, pixels: { shape: [1, 3], data: [1, 2, 3, 4] } }, { got: 'more' }],
    [
      'another type',
      { ...good, pixels: { shape: [1, 3], dtype: 'float64', data: [1, 2, 3] } },
      { pointer: '/pixels/dtype' },
    ],
    ['a field too many', { ...good, pixels: { shape: [1, 3], values: [] } }, { pointer: '/pixels/values' }],
    ['neither data nor bytes', { ...good, pixels: { shape: [1, 3] } }, { pointer: '/pixels' }],
    ['a bad shape', { ...good, pixels: { shape: [1, -3], data: [] } }, { pointer: '/pixels/shape' }],
    ['a shape of 2^40', { ...good, pixels: { shape: [2 ** 40, 3], data: [] } }, { pointer: '/pixels/shape' }],
    ['not base64', { ...good, pixels: { shape: [1, 3], base64: '###' } }, { pointer: '/pixels/base64' }],
  ];
  test.each(faults)('%s', (_, json, wanted) => {
    expect(refusal(specs, json)).toMatchObject(wanted);
  });
  test('every text with a character outside base64 is refused, at every place and length', () => {
    const digit = fc.constantFrom(...'ABCDwxyz0189+/');
    const other = fc.constantFrom(...'-_= \n*\u0141\u00c1\u{1f600}');
    const one = fc.oneof({ weight: 20, arbitrary: digit }, { weight: 1, arbitrary: other });
    fc.assert(
      fc.property(fc.string({ unit: one, maxLength: 40 }), fc.constantFrom('', '=', '=='), (digits, padding) => {
        const base64 = digits + padding;
        const isRight = /^[A-Za-z0-9+/]*={0,2}$/.test(base64);
        const { length } = Buffer.from(base64, 'base64');
        const found = refusal(spec('uint8', ['n']), { x: { shape: [length], base64 } });
        if (isRight) expect(found).toBe('accepted');
        else expect(found).toMatchObject({ pointer: '/x/base64', message: 'The text is not base64.' });
      }),
      { numRuns: 3_000 },
    );
  });
  test('a pointer escapes the special characters of a name', () => {
    expect(refusal(spec('int8', [], 'a/b~c'), { 'a/b~c': 1000 })).toMatchObject({ pointer: '/a~1b~0c' });
  });
  test('a huge shape without data allocates no memory', () => {
    const free = spec('float32', ['n', 'k']);
    expect(refusal(free, { x: { shape: [2 ** 31, 2 ** 31], data: [] } })).toMatchObject({ got: '0 elements' });
    expect(refusal(free, { x: { shape: [2 ** 31, 2 ** 31], base64: '' } })).toMatchObject({ got: '0 bytes' });
  });
});

describe('labels', () => {
  test('name the greatest element of a row of floats, and each element of integers', () => {
    const scores = { dtype: 'float32' as const, dims: [2, 3], data: Float32Array.of(1, 5, 2, 9, 0, 0) };
    const classes = { dtype: 'int64' as const, dims: [2], data: BigInt64Array.of(2n, 7n) };
    const names = ['cat', 'dog', 'emu'];
    const json = JSON.parse(tensorsToJson({ scores, classes }, { scores: names, classes: names }));
    expect(json.scores.label).toEqual(['dog', 'cat']);
    expect(json.classes.label).toEqual(['emu', null]);
  });
});

const elements: Record<Dtype, fc.Arbitrary<unknown>> = {
  float16: fc.integer({ min: 0, max: 65_535 }),
  float32: fc.float(),
  float64: fc.double(),
  int8: fc.integer({ min: -128, max: 127 }),
  int16: fc.integer({ min: -32_768, max: 32_767 }),
  int32: fc.integer(),
  int64: fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
  uint8: fc.nat(255),
  uint16: fc.nat(65_535),
  uint32: fc.nat({ max: 2 ** 31 - 1 }),
  uint64: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
  bool: fc.nat(1),
  string: fc.string({ unit: 'grapheme' }).filter((text) => text.isWellFormed() && !text.includes('\0')),
};

const tensor = fc.tuple(fc.constantFrom(...DTYPES), fc.nat(5), fc.nat(4)).chain(([dtype, rows, width]) =>
  fc.array(elements[dtype], { minLength: rows * width, maxLength: rows * width }).map((values) => {
    const data = newData(dtype, values.length);
    for (const [i, value] of values.entries()) Reflect.set(data, i, value);
    return { dtype, dims: [rows, width], data };
  }),
);
/** Replaces every NaN by the same NaN: JSON has no NaN payloads. */
const bits = ({ dtype, dims, data }: Tensor) => ({
  dtype,
  dims,
  data: [...data].map((half) =>
    dtype === 'float16' && (Number(half) & 0x7fff) > 0x7c00 ? toHalfBits(Number.NaN) : half,
  ),
});

describe('properties', () => {
  const value = fc.oneof(
    { weight: 8, arbitrary: fc.integer({ min: -2, max: 300 }) },
    fc.constantFrom(0.5, -0, 65_504, 65_519, 2 ** 31 - 1, 2 ** 31, -(2 ** 31), -(2 ** 31) - 1, 2 ** 32, 2 ** 53, 1e39),
    fc.constantFrom('1', '-1', '-0', '007', '-', '', '1.5', ' 1', '2147483648', '999999999', 'NaN', true, false, null),
  );
  /** Parses each element as a scalar tensor, and so without a run. */
  const parseSingly = (dtype: Dtype, values: readonly unknown[]): unknown[] =>
    values.flatMap((element) => [...parse(spec(dtype, []), element).data]);
  test('elements have the same values in a run and as scalars', () => {
    fc.assert(
      fc.property(fc.constantFrom(...DTYPES), fc.array(value, { maxLength: 12 }), (dtype, values) => {
        const outcome = (run: () => Iterable<unknown>): unknown => {
          try {
            return [...run()];
          } catch (error) {
            return String(error);
          }
        };
        const alone = outcome(() => parseSingly(dtype, values));
        const shape = [values.length];
        const flat = spec(dtype, ['n']);
        expect(outcome(() => parse(flat, values).data)).toEqual(alone);
        expect(outcome(() => parse(flat, { shape, data: values }).data)).toEqual(alone);
        const nested = values.map((element) => [element]);
        expect(outcome(() => parse(flat, { shape, data: nested }).data)).toEqual(alone);
      }),
      { numRuns: 5_000 },
    );
  });
  test('an output that is sent back as an input has the same bits', () => {
    fc.assert(
      fc.property(tensor, (one) => {
        const { dtype, shape, data } = JSON.parse(tensorsToJson({ x: one })).x;
        expect(bits(parse(spec(one.dtype, ['n', 'k']), { dtype, shape, data }))).toEqual(bits(one));
      }),
      { numRuns: 2_000 },
    );
  });
  test('the canonical text parses to the same tensor, and splitting and joining rows changes nothing', () => {
    fc.assert(
      fc.property(tensor, (one) => {
        const text = tensorRowText({ x: one });
        const back = tensorsOfRow(JSON.parse(text));
        expect(tensorRowText(back)).toBe(text);
        expect(tensorRowText(joinRows(splitRows({ x: one, other: one })))).toBe(tensorRowText({ x: one, other: one }));
      }),
      { numRuns: 2_000 },
    );
  });
});
