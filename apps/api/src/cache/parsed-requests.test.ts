import { expect, test } from 'vitest';
import { ParsedRequests } from './parsed-requests.ts';

const schema = {};
const plan = { shape: 'one' as const, rows: ['1'], keys: ['k'] };
const entryOf = (text: string, digest = 'd') => ({
  text,
  body: JSON.parse(text) as object,
  schema,
  tenant: 't',
  digest,
  plan,
});

test('the same text gives the same frozen body, and its plan for the same version and tenant alone', () => {
  const parsedRequests = new ParsedRequests();
  const text = '{"input":{"a":[1]}}';
  expect(parsedRequests.bodyOf(text)).toBeUndefined();
  parsedRequests.remember(entryOf(text));
  const body = parsedRequests.bodyOf(text) as { input: { a: number[] } };
  expect(body).toEqual({ input: { a: [1] } });
  expect(() => body.input.a.push(2)).toThrow(TypeError);
  expect(parsedRequests.met(schema, body)).toBe(true);
  expect(parsedRequests.met({}, body)).toBe(false);
  expect(parsedRequests.met(schema, JSON.parse(text))).toBe(false);
  expect(parsedRequests.normalizeInput(body, 't', 'd')).toBe(plan);
  expect(parsedRequests.normalizeInput(body, 'u', 'd')).toBeUndefined();
  expect(parsedRequests.normalizeInput(body, 't', 'e')).toBeUndefined();
});

test('a new version takes the place of the old one', () => {
  const parsedRequests = new ParsedRequests();
  const text = '{"input":1}';
  parsedRequests.remember(entryOf(text));
  const body = parsedRequests.bodyOf(text) as object;
  parsedRequests.remember({ ...entryOf(text, 'e'), body });
  expect(parsedRequests.normalizeInput(body, 't', 'e')).toBe(plan);
});

test('it is bounded: what nobody asks for any more goes, what is asked for stays', () => {
  const parsedRequests = new ParsedRequests();
  const text = (n: number) => `{"input":${n}}`;
  for (let n = 0; n < 20_000; n++) {
    parsedRequests.remember(entryOf(text(n)));
    parsedRequests.bodyOf(text(0));
  }
  expect(parsedRequests.bodyOf(text(0))).toBeDefined();
  expect(parsedRequests.bodyOf(text(1))).toBeUndefined();
  expect(parsedRequests.bodyOf(text(19_999))).toBeDefined();
  const long = `{"input":"${'x'.repeat(2_000)}"}`;
  parsedRequests.remember(entryOf(long));
  expect(parsedRequests.bodyOf(long)).toBeUndefined();
});
