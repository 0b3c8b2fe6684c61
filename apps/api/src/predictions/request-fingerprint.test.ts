import { createHash } from 'node:crypto';
import { canonicalJson } from '@millrace/shared/text/canonical-json';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parseBody } from '../http/parse-json.ts';
import { fingerprintOf } from './request-fingerprint.ts';

/** The fingerprint of 0.1.0, for a body of JSON.parse. */
const former = (body: unknown): string =>
  createHash('sha256')
    .update(`m\n1\n${canonicalJson(body)}`)
    .digest('hex')
    .slice(0, 32);
const limits = { depth: 64, items: 1_000_000, members: 1_000_000, stringLength: 10_000_000 };
const parsed = (text: string): unknown => parseBody(Buffer.from(text), limits);

const numbers = (count: number): number[] => Array.from({ length: count }, (_, at) => (at % 7) / 8 - 0.25);
const rows = (count: number, size: number): number[][] => Array.from({ length: count }, () => numbers(size));

describe('the fingerprint of 0.1.0 is the fingerprint of', () => {
  test.each<[string, unknown]>([
    ['a short body', { input: { x: [1, 2] } }],
    ['members in another order', { metadata: { b: '1', a: '2' }, input: { z: [1], a: [2] } }],
    ['a long array of numbers', { input: { x: numbers(100_000) } }],
    ['rows of numbers', { input: { x: rows(2_000, 166) }, priority: 'high' }],
    ['one row in several arrays', { input: { x: [[numbers(50_000)]] } }],
    ['rows longer than a piece', { input: { x: rows(5, 9_000) } }],
    ['an image', { input: { x: [rows(224, 224).map((row) => row.map((value) => [value, 1, -0]))] } }],
    ['many inputs', { inputs: Array.from({ length: 20_000 }, (_, at) => ({ x: [at, 1e21, 1e-7] })) }],
    ['long texts', { input: { x: { shape: [1], base64: 'A'.repeat(900_000) } }, inputs: ['ü\u2028"'.repeat(100_000)] }],
    [
      'a member without a value, and members whose order is not the order of their texts',
      { input: { b: 1, B: 2, ä: 3, '10': 4, '9': 5 } },
    ],
    [
      'texts as long as a piece',
      { input: ['a'.repeat(262_144), 'b'.repeat(262_145)], inputs: [['c'.repeat(300_000)]] },
    ],
    ['empty values', { input: { a: [], b: {}, c: [[]], d: null, e: '', f: false }, inputs: [] }],
  ])('%s', async (_, body) => {
    const text = JSON.stringify(body);
    expect(await fingerprintOf('m', '1', parsed(text))).toBe(former(JSON.parse(text)));
  });

  test('any JSON', async () => {
    const bodies = fc.record({ input: fc.jsonValue(), inputs: fc.array(fc.array(fc.array(fc.integer()))) });
    const same = async (body: unknown) => {
      const text = JSON.stringify(body);
      expect(await fingerprintOf('m', '1', JSON.parse(text))).toBe(former(JSON.parse(text)));
    };
    await fc.assert(fc.asyncProperty(bodies, same), { numRuns: 300 });
  });
});

test('the model, the version and each number are in the fingerprint', async () => {
  const body = (last: number) => parsed(JSON.stringify({ input: { x: [...numbers(50_000), last] } }));
  const of = (model: string, version: string | undefined, last: number) => fingerprintOf(model, version, body(last));
  const all = await Promise.all([
    of('m', '1', 0),
    of('m', '2', 0),
    of('m', undefined, 0),
    of('n', '1', 0),
    of('m', '1', 1),
  ]);
  expect(new Set(all).size).toBe(5);
  expect(await of('m', '1', 0)).toBe(all[0]);
});

test('a member whose value is undefined is left out', async () => {
  expect(await fingerprintOf('m', '1', { a: 1, b: undefined })).toBe(await fingerprintOf('m', '1', { a: 1 }));
});

/** The turns of the event loop during the fingerprint. */
async function turnsOf(body: unknown): Promise<number> {
  let turns = 0;
  let isDone = false;
  const count = () => {
    if (isDone) return;
    turns += 1;
    setImmediate(count);
  };
  setImmediate(count);
  await fingerprintOf('m', '1', body);
  isDone = true;
  return turns;
}

describe('a long body takes several turns of the event loop', () => {
  test.each<[string, unknown, number]>([
    ['long numbers', parsed(JSON.stringify({ input: { x: numbers(400_000) } })), 4],
    ['many short members', { input: Object.fromEntries(Array.from({ length: 20_000 }, (_, at) => [`m${at}`, at])) }, 4],
    ['many items', { inputs: Array.from({ length: 8_193 }, (_, at) => at) }, 3],
    ['long texts', { inputs: Array.from({ length: 5 }, () => 'a'.repeat(262_145)) }, 4],
    ['long texts in a short array', { inputs: ['short', ...Array.from({ length: 5 }, () => 'a'.repeat(262_145))] }, 4],
  ])('%s', async (_, body, least) => {
    expect(await turnsOf(body)).toBeGreaterThanOrEqual(least);
  });

  test('and a short body takes one', async () => {
    expect(await turnsOf({ input: { x: [1, 2] } })).toBeLessThanOrEqual(1);
    expect(await turnsOf({ inputs: Array.from({ length: 8_192 }, (_, at) => at) })).toBeLessThanOrEqual(1);
  });
});
