import { NumberScan } from '@millrace/shared/tensors/number-array';
import { expect, test } from 'vitest';
import { ParsedRequests } from './parsed-requests.ts';

const schema = {};
const normalized = { shape: 'one' as const, rows: ['1'], keys: ['k'] };
const entryOf = (text: string, digest = 'd') => ({
  text,
  body: JSON.parse(text) as object,
  schema,
  tenant: 't',
  digest,
  normalized,
});

test('the same text returns the same frozen body, and the normalized input only for the same version and tenant', () => {
  const parsedRequests = new ParsedRequests();
  const text = '{"input":{"a":[1]}}';
  expect(parsedRequests.bodyOf(text)).toBeUndefined();
  parsedRequests.store(entryOf(text));
  const body = parsedRequests.bodyOf(text) as { input: { a: number[] } };
  expect(body).toEqual({ input: { a: [1] } });
  expect(() => body.input.a.push(2)).toThrow(TypeError);
  expect(parsedRequests.met(schema, body)).toBe(true);
  expect(parsedRequests.met({}, body)).toBe(false);
  expect(parsedRequests.met(schema, JSON.parse(text))).toBe(false);
  expect(parsedRequests.normalizeInput(body, 't', 'd')).toBe(normalized);
  expect(parsedRequests.normalizeInput(body, 'u', 'd')).toBeUndefined();
  expect(parsedRequests.normalizeInput(body, 't', 'e')).toBeUndefined();
});

test('an entry keeps no memory of other requests', () => {
  const parsedRequests = new ParsedRequests();
  const scan = new NumberScan(Buffer.from('[1,2,3]'), 0);
  scan.step();
  const body = { input: { x: scan.array } };
  const row = Buffer.from('a short row');
  const shared = { ...normalized, rows: [row] };
  expect(Math.min(row.buffer.byteLength, scan.array?.values.buffer.byteLength ?? 0)).toBeGreaterThan(1_000);
  parsedRequests.store({ ...entryOf('{}'), text: '[1,2,3]', body, normalized: shared });
  const kept = parsedRequests.normalizeInput(body, 't', 'd');
  expect(kept).toEqual(shared);
  expect(kept?.rows.map((one) => Buffer.isBuffer(one) && one.buffer.byteLength)).toEqual([row.length]);
  expect(scan.array?.values.buffer.byteLength).toBe(24);
  expect(scan.array?.toJSON()).toEqual([1, 2, 3]);
});

test('a body whose text is not known has no entry', () => {
  const parsedRequests = new ParsedRequests();
  const body = { input: 'of another caller' };
  parsedRequests.store({ ...entryOf('{}'), text: '', body });
  expect(parsedRequests.bodyOf('')).toBeUndefined();
  expect(parsedRequests.knows(body)).toBe(false);
});

test('an entry of a new version replaces the entry of the old version', () => {
  const parsedRequests = new ParsedRequests();
  const text = '{"input":1}';
  parsedRequests.store(entryOf(text));
  const body = parsedRequests.bodyOf(text) as object;
  parsedRequests.store({ ...entryOf(text, 'e'), body });
  expect(parsedRequests.normalizeInput(body, 't', 'e')).toBe(normalized);
});

test('the number of texts is limited: unused texts are discarded, and used texts stay', () => {
  const parsedRequests = new ParsedRequests();
  const text = (n: number) => `{"input":${n}}`;
  for (let n = 0; n < 20_000; n++) {
    parsedRequests.store(entryOf(text(n)));
    parsedRequests.bodyOf(text(0));
  }
  expect(parsedRequests.bodyOf(text(0))).toBeDefined();
  expect(parsedRequests.bodyOf(text(1))).toBeUndefined();
  expect(parsedRequests.bodyOf(text(19_999))).toBeDefined();
  const long = `{"input":"${'x'.repeat(2_000)}"}`;
  parsedRequests.store(entryOf(long));
  expect(parsedRequests.bodyOf(long)).toBeUndefined();
});

test('a text that no request used between two calls is discarded at the second', () => {
  const parsedRequests = new ParsedRequests();
  parsedRequests.store(entryOf('{"input":1}'));
  parsedRequests.store(entryOf('{"input":2}'));
  parsedRequests.discardUnused();
  expect(parsedRequests.bodyOf('{"input":1}')).toBeDefined();
  parsedRequests.store(entryOf('{"input":3}'));
  parsedRequests.discardUnused();
  expect(parsedRequests.bodyOf('{"input":2}')).toBeUndefined();
  expect(parsedRequests.bodyOf('{"input":3}')).toBeDefined();
  parsedRequests.discardUnused();
  expect(parsedRequests.bodyOf('{"input":1}')).toBeUndefined();
  expect(parsedRequests.bodyOf('{"input":3}')).toBeDefined();
});
