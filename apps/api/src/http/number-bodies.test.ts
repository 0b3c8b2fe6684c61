import { NumberArray, withPlainArrays } from '@millrace/shared/tensors/number-array';
import { describe, expect, test } from 'vitest';
import { parseBody, parseJson, parseLongBody } from './parse-json.ts';

const limits = { depth: 64, stringLength: 100_000, members: 1_000, items: 10_000 };
const numbers = (count: number) => Array.from({ length: count }, (_, at) => at / 7 - 3);
const parse = (text: string, some = limits) => parseBody(Buffer.from(text), some);

/** Whether a value holds a NumberArray at any depth. */
const hasArray = (value: unknown) => withPlainArrays(value) !== value;

function outcome(run: () => unknown): unknown {
  try {
    return withPlainArrays(run());
  } catch (error) {
    return error;
  }
}

describe('bodies with arrays of numbers', () => {
  test.each([
    ['a tensor', { input: { x: numbers(166) } }, true],
    ['a tensor with a shape', { input: { x: { shape: [1, 16], data: numbers(16) } } }, true],
    ['nested arrays', { input: { x: [[numbers(20), numbers(20)]] } }, true],
    ['many inputs', { inputs: Array.from({ length: 300 }, () => ({ x: numbers(20) })) }, true],
    ['strings with brackets and quotes', { input: { 'a"[1,2]\\': '[[1,2', x: numbers(16), y: 'ü\\"[' } }, true],
    ['a short array', { input: { x: numbers(15) } }, false],
    ['an array of different lengths', { input: { x: [numbers(16), numbers(17).concat(1)], y: [[1], 2] } }, false],
    ['numbers beside strings', { input: { x: [numbers(16), ['NaN', ...numbers(15)]] } }, false],
    ['numbers outside of the input', { metadata: { a: numbers(20) }, input: { a: 1 } }, false],
    ['the input itself', { input: numbers(20) }, false],
    ['inputs that are numbers', { inputs: [numbers(20), numbers(20)] }, false],
    ['a long shape', { input: { x: { shape: numbers(20), data: [] } } }, false],
    ['another body', [numbers(20)], false],
    ['members in another order', { 9: 'a', input: { x: numbers(20), 1: numbers(30), 0: 'b' } }, true],
  ])('%s', async (_, body, arrays) => {
    const text = JSON.stringify(body, null, 1);
    expect(hasArray(parse(text))).toBe(arrays);
    expect(withPlainArrays(parse(text))).toEqual(JSON.parse(text));
    expect(withPlainArrays(await parseLongBody(Buffer.from(text), limits))).toEqual(JSON.parse(text));
  });

  const array = JSON.stringify(numbers(20));
  test.each([
    `{"input":{"x":${array}}`,
    `{"input":{"x":${array},"x":${array}}}`,
    `{"input":{"x":${array},"__proto__":1}}`,
    `{"input":{"x":${array} ${array}}}`,
    `{"input":{"x":${array.replace(',', ',,')}}}`,
    `{"input":{"x":${array.replace(',', ',01,')}}}`,
    `{"input":{"x":${array.replace(',', ',1e999,')}}}`,
    `{"input":{"x":${array},"y":1e999}}`,
    `{"input":{"x":${array},"y":"\ufffd"}}`,
    `{"input":{"x":${array}}}, 1`,
    `{"input":{"x":${array},"y":"open}}`,
    `${'['.repeat(70)}1${']'.repeat(70)}`,
    `{"input":${'{"a":['.repeat(29)}${'['.repeat(5)}${array}${']'.repeat(5)}${']}'.repeat(29)}}`,
    `{"input":{"x":[${Array(9_000).fill(array).join()}]}}`,
    `{"input":{"x":[${Array(45_000).fill('[1]').join()}]}}`,
  ])('the same error as without arrays: %.60s', (text) => {
    const expected = outcome(() => parseJson(text, limits));
    const got = outcome(() => parse(text));
    expect(got).toEqual(expected);
    if (expected instanceof Error) expect(got).toMatchObject(JSON.parse(JSON.stringify(expected)));
  });

  test('a string cannot name an array', () => {
    const marked = parse(`{"input":{"x":${array},"y":"0"}}`);
    expect(marked).toMatchObject({ input: { x: expect.any(NumberArray), y: '0' } });
  });

  test('counts the arrays inside an array of numbers as items', () => {
    const text = `{"input":{"x":[${Array(50_000).fill('[1,2]').join()}]}}`;
    expect(() => parse(text)).toThrow('more than 10000 members and objects');
    expect(hasArray(parse(text, { ...limits, items: 20_000 }))).toBe(true);
  });

  test.each([
    ['short arrays', '{"a":[1]},'],
    ['broken arrays', '{"a":[1,"a"]},'],
    ['small arrays', `{"a":${JSON.stringify(Array(16).fill(1))}},`],
    ['strings', '"a",'],
    ['nested arrays that break at their end', `{"a":${'['.repeat(8)}1${']'.repeat(7)},"a"]},`],
  ])('parses a body of %s like any other body', (_, item) => {
    const text = `{"input":{"x":[${item.repeat(200_000 / item.length)}0]}}`;
    const got = outcome(() => parse(text, { ...limits, items: 100_000 }));
    expect(JSON.stringify(got) === text).toBe(true);
  });
});
