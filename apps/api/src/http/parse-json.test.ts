import { ApiError } from '@millrace/shared/errors';
import { loadConfig } from '@millrace/shared/process/config';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parseJson, parseLongJson } from './parse-json.ts';

const parse = (text: string) => parseJson(text, { depth: 64, stringLength: 1_000, members: 100, items: 10_000 });

function faultOf(text: string) {
  try {
    parse(text);
  } catch (error) {
    if (error instanceof ApiError) return { code: error.code, ...error.faults[0] };
    throw error;
  }
  throw new Error('it was taken');
}

describe('a JSON body', () => {
  test('has the same value as with JSON.parse', () => {
    // JSON.stringify writes -0 as 0.
    fc.assert(
      fc.property(fc.json({ maxDepth: 8 }), fc.constantFrom(0, 1), (text, indent) => {
        fc.pre(!text.includes('__proto__'));
        const value = JSON.parse(text);
        expect(parse(JSON.stringify(value, null, indent))).toEqual(JSON.parse(JSON.stringify(value)));
      }),
    );
  });

  test.each([
    ['', ''],
    ['{"a":', ''],
    ['nul', ''],
    ['{"a":1} x', ''],
    ['{"a":"\ufffd"}', ''],
    ['{"a":NaN}', ''],
    ['{"a":1,"a":2}', '/a'],
    ['{"a":1,"\\u0061":2}', '/a'],
    ['{"b":[{},{"c/d":1,"c/d" : 1}]}', '/b/1/c~1d'],
    ['{"x":{"y":1},"x":{"z":2}}', '/x'],
    ['{"a":[1,1e400]}', '/a/1'],
    ['-1e999', ''],
    ['{"a":{"__proto__":{}}}', '/a/__proto__'],
    [`["${'x'.repeat(1_001)}"]`, '/0'],
    [`{"${'x'.repeat(1_001)}":1}`, `/${'x'.repeat(60)}`],
  ])('%j is refused', (text, pointer) => {
    expect(faultOf(text)).toMatchObject({ code: 'invalid_json', pointer });
  });

  test.each(['[', '{"a":'])('may nest of %j as deep as the limit and no deeper', (open) => {
    const nested = (depth: number) => `${open.repeat(depth)}0${(open === '[' ? ']' : '}').repeat(depth)}`;
    expect(() => parse(nested(64))).not.toThrow();
    expect(faultOf(nested(65))).toMatchObject({ code: 'json_too_deep' });
    expect(faultOf(nested(1_000_000))).toMatchObject({ code: 'json_too_deep' });
  });

  test('may have an object of as many members as the limit, and no more', () => {
    const members = (count: number, from = 0) =>
      Array.from({ length: count }, (_, at) => `"m${from + at}":{"a":1}`).join();
    expect(() => parse(`[{${members(100)}},{${members(100)}}]`)).not.toThrow();
    expect(faultOf(`[{${members(101)}}]`)).toMatchObject({ code: 'payload_too_large', expected: 'at most 100' });
    // The text alone is refused, before JSON.parse could fail.
    expect(faultOf(`[{${members(101)}`)).toMatchObject({ code: 'payload_too_large' });
  });

  test.each([
    ['{"a":1}', 2],
    ['{"a":{"b":1}}', 4],
    ['[[[[]]]]', 1],
  ])(
    'may have as many members and objects, and four times as many arrays, as the limit, and no more: %s',
    (item, items) => {
      const body = (count: number) => `{"a":[${Array(count).fill(item).join()}]}`;
      const most = Math.floor(9_998 / items);
      expect(() => parse(body(most))).not.toThrow();
      expect(faultOf(body(most + 1))).toMatchObject({ code: 'payload_too_large', expected: 'at most 10000' });
    },
  );

  test.each([
    ['an image of 299 by 299 pixels in nested arrays', () => [Array(299).fill(Array(299).fill([0, 1, 2]))]],
    ['5,000 rows of 4 members', () => Array(5_000).fill({ a: 1, b: 2, c: 3, d: 4 })],
    ['10,000 rows of 5 members', () => Array(10_000).fill({ age: 1, dose: 2, weight: 3, sex: 'f', smoker: true })],
    [
      '10,000 rows of 12 members',
      () => Array(10_000).fill(Object.fromEntries('abcdefghijkl'.split('').map((a) => [a, 1]))),
    ],
    ['10,000 rows of a tensor each', () => Array(10_000).fill({ x: [[1, 2, 3]] })],
    ['a million numbers', () => Array(1_000_000).fill(1)],
  ])('of ordinary use is within the limits that hold without settings: %s', (_name, inputs) => {
    const { jsonDepth: depth, maxStringLength: stringLength, jsonMembers: members, jsonItems: items } = loadConfig({});
    const text = JSON.stringify({ inputs: inputs() });
    expect(() => parseJson(text, { depth, stringLength, members, items })).not.toThrow();
  });

  test('has the same value in several turns of the event loop as in one', async () => {
    const limits = { depth: 64, stringLength: 1_000, members: 100, items: 10_000 };
    const text = JSON.stringify({ a: Array(1_000).fill('x'.repeat(300)), b: { c: [1, null, true] } });
    expect(await parseLongJson(text, limits)).toEqual(parseJson(text, limits));
    await expect(parseLongJson(`${text}]`, limits)).rejects.toMatchObject({ code: 'invalid_json' });
    await expect(parseLongJson(text.replace('"b"', '"a"'), limits)).rejects.toMatchObject({ code: 'invalid_json' });
    await expect(parseLongJson(text, { ...limits, items: 2 })).rejects.toMatchObject({ code: 'payload_too_large' });
  });

  test('shares its budget with the other texts of a request', () => {
    const limits = { depth: 64, stringLength: 1_000, members: 100, items: 100 };
    const budget = { items: 100 };
    parseJson(`[${Array(60).fill('{}').join()}]`, limits, budget);
    expect(budget.items).toBe(40);
    expect(() => parseJson(`[${Array(41).fill('{}').join()}]`, limits, budget)).toThrow('more than 100');
  });

  test('that is long is refused for a repeated member, without the place', () => {
    const text = `{"a":"${'x'.repeat(900)}","b":[${Array(400)
      .fill(`"${'y'.repeat(900)}"`)
      .join()}],"a":1}`;
    expect(faultOf(text)).toMatchObject({ code: 'invalid_json', pointer: '', message: 'A member is there twice' });
  });

  test('may have strings as long as the limit', () => {
    expect(parse(`["${'x'.repeat(1_000)}"]`)).toHaveLength(1);
  });

  test('may have colons, braces and quotes in its strings', () => {
    const value = { 'a:"b': '{"a":1,"a":2}', c: ['[[[[', '\\', '\\"', ':'] };
    expect(parse(JSON.stringify(value))).toEqual(value);
  });
});
