import { createHash } from 'node:crypto';
import { canonicalJson } from '@millrace/shared/text/canonical-json';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parseBody } from '../http/json-body.ts';
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
