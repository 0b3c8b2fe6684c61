import { describe, expect, test } from 'vitest';
import { joinTexts, LongText, type Text } from './long-text.ts';
import { assembleOutput } from './output.ts';

/** The text in pieces of `bytes`, so that each cut falls somewhere else. */
function inPieces(text: string, bytes: number): LongText {
  const all = Buffer.from(text);
  const pieces: Buffer[] = [];
  for (let at = 0; at < all.length; at += bytes) pieces.push(all.subarray(at, at + bytes));
  return new LongText(pieces);
}

const NUMBERS = `0.5,-0,"NaN","-Infinity",${'1.25,'.repeat(40_000)}9007199254740993`;
const numbers = (rows: number): string => `{"448":{"dtype":"float32","shape":[${rows},40005],"data":[${NUMBERS}]}`;
const TEXTS = String.raw`"a]b","\"]","\\","größe","","[{"`;
const texts = `"7":{"dtype":"string","shape":[1,6],"data":[${TEXTS}],"label":["x]",null]}}`;

describe('the tensors of rows', () => {
  test.each([1, 7, 65_536, 1e9])('are joined by their text, in pieces of %d bytes', (bytes) => {
    const row = (rows: number): Text => inPieces(`${numbers(rows)},${texts}`, Math.max(bytes, 7));
    const joined = assembleOutput('tensors', [row(1), row(2), row(1)]);
    expect(joined).toBeInstanceOf(LongText);
    const both = [NUMBERS, NUMBERS, NUMBERS].join(',');
    expect(String(joined)).toBe(
      `{"448":{"dtype":"float32","shape":[4,40005],"data":[${both}]},` +
        `"7":{"dtype":"string","shape":[3,6],"data":[${TEXTS},${TEXTS},${TEXTS}],"label":["x]",null,"x]",null,"x]",null]}}`,
    );
  });

  test.each([3, 10_000])('of %d short rows are joined by their text, in the order of the model', (count) => {
    const text = (dim: number, a: string, b: string) =>
      String.raw`{"448":{"dtype":"float32","shape":[${dim},2],"data":[${a}]},"a\\\"]":{"dtype":"int64","shape":[${dim}],"data":[${b}]},"7":{"dtype":"float32","shape":[${dim},0],"data":[]}}`;
    const rows = Array.from({ length: count }, (_, n) => text(1, `${n},-0`, '"NaN"'));
    const all = (one: (n: number) => string) => rows.map((_, n) => one(n)).join();
    const joined = String(assembleOutput('tensors', rows));
    expect(joined).toBe(
      text(
        count,
        all((n) => `${n},-0`),
        all(() => '"NaN"'),
      ),
    );
    expect(JSON.parse(joined)).toHaveProperty(['a\\"]']);
  });

  test.each([
    ['texts', '{"y":{"dtype":"string","shape":[1,1],"data":["a]"]}}'],
    ['labels', '{"y":{"dtype":"int64","shape":[1],"data":[1],"label":["x]"]}}'],
    ['white space', '{"y": {"dtype":"int64","shape":[1],"data":[1]}}'],
  ])('of rows with %s equal the parsed rows', (_, row) => {
    const { y } = JSON.parse(row);
    const joined = assembleOutput('tensors', [row, row, row]);
    expect(joined).toBeTypeOf('string');
    expect(JSON.parse(String(joined)).y).toEqual({
      dtype: y.dtype,
      shape: [3, ...y.shape.slice(1)],
      data: [...y.data, ...y.data, ...y.data],
      ...(y.label ? { label: [...y.label, ...y.label, ...y.label] } : {}),
    });
  });

  test('of short rows keep each number as it is written', () => {
    const row = (number: string) => `{"y":{"dtype":"int64","shape":[1],"data":[${number}]}}`;
    const joined = assembleOutput('tensors', [row('9007199254740993'), row('-0'), row('1e-7')]);
    expect(joined).toBe('{"y":{"dtype":"int64","shape":[3],"data":[9007199254740993,-0,1e-7]}}');
  });

  test('are a string if they are short, and long text if they are long together', () => {
    const row = (items: number) =>
      `{"y":{"dtype":"int64","shape":[1,${items}],"data":[${new Array(items).fill(7).join()}]}}`;
    expect(assembleOutput('tensors', [row(2), row(2)])).toBeTypeOf('string');
    const long = assembleOutput('tensors', [row(40_000), row(40_000)]);
    expect(long).toBeInstanceOf(LongText);
    expect(JSON.parse(String(long)).y).toMatchObject({ shape: [2, 40_000] });
  });

  test('of short rows of which one arrived in pieces are joined too', () => {
    const row = '{"y":{"dtype":"int64","shape":[1],"data":[5]}}';
    const joined = '{"y":{"dtype":"int64","shape":[2],"data":[5,5]}}';
    expect(String(assembleOutput('tensors', [row, inPieces(row, 7)]))).toBe(joined);
    expect(String(assembleOutput('tensors', [inPieces(row, 7), row]))).toBe(joined);
  });

  test('of rows with labels keep the order of the model, where a name is a number, and the sign of zero', () => {
    const label = '"dtype":"int64","shape":[1],"data":[1],"label":["a"]';
    const joined = '"dtype":"int64","shape":[2],"data":[1,1],"label":["a","a"]';
    const row = `{"b":{${label}},"448":{${label}}}`;
    expect(String(assembleOutput('tensors', [row, row]))).toBe(`{"b":{${joined}},"448":{${joined}}}`);
    const zero = '{"y":{"dtype":"float32","shape":[1],"data":[-0],"label":["a"]}}';
    expect(assembleOutput('tensors', [zero, zero])).toContain('"data":[-0,-0]');
  });

  test('of rows with different lengths have all items', () => {
    const row = (items: string, length: number) => `{"y":{"dtype":"int64","shape":[${length}],"data":[${items}]}}`;
    expect(JSON.parse(String(assembleOutput('tensors', [row('1', 1), row('2,3', 2)]))).y).toMatchObject({
      shape: [3],
      data: [1, 2, 3],
    });
  });

  test('of a single row are its own text', () => {
    const row = inPieces(`${numbers(1)}}`, 65_536);
    expect(assembleOutput('tensors', [row])).toBe(row);
  });

  test('with no items join as lists without items', () => {
    const empty = '{"y":{"dtype":"float32","shape":[0,2],"data":[]}}';
    const full = `{"y":{"dtype":"float32","shape":[70000,2],"data":[${'1,'.repeat(139_999)}1]}}`;
    expect(JSON.parse(String(assembleOutput('tensors', [empty, full, empty]))).y).toMatchObject({ shape: [70_000, 2] });
  });

  test('of another form are parsed', () => {
    const odd = `{ "y": {"dtype":"float32","shape":[1,70000],"data":[${'1,'.repeat(69_999)}1]}}`;
    expect(JSON.parse(String(assembleOutput('tensors', [odd, odd]))).y.shape).toEqual([2, 70_000]);
  });
});

test('a list of short outputs is a string, and a prediction without rows has no output', () => {
  expect(assembleOutput('list', ['1', '"a"', 'null'])).toBe('[1,"a",null]');
  expect(assembleOutput('one', ['1'])).toBe('1');
  expect(assembleOutput('one', [])).toBe('null');
});

test('a list of long outputs holds them as they are', () => {
  expect(assembleOutput('list', [`"${'x'.repeat(140_000)}"`, '1'])).toBeInstanceOf(LongText);
  const long = inPieces(`"${'x'.repeat(200_000)}"`, 1_000);
  expect(String(assembleOutput('list', [long, '1', long]))).toBe(`[${long},1,${long}]`);
});

describe('long text', () => {
  const text = joinTexts(['größe', inPieces('0123456789', 3), '', '!']);
  const bytes = Buffer.from('größe0123456789!');

  test('is sliced and searched by bytes', () => {
    expect(text.length).toBe(bytes.length);
    for (let from = 0; from <= bytes.length; from += 1) {
      expect(text.byteAt(from)).toBe(bytes[from]);
      expect(text.indexOf(0x35, from)).toBe(bytes.indexOf(0x35, from));
      for (let to = from; to <= bytes.length; to += 1)
        expect(Buffer.concat(text.slice(from, to).pieces)).toEqual(bytes.subarray(from, to));
    }
    expect(new LongText([]).slice(0).length).toBe(0);
    expect(new LongText([]).indexOf(1)).toBe(-1);
  });
});
