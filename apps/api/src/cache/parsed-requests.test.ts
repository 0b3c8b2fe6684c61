import { expect, test } from 'vitest';
import { Remembered } from './parsed-requests.ts';

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
  const remembered = new Remembered();
  const text = '{"input":{"a":[1]}}';
  expect(remembered.bodyOf(text)).toBeUndefined();
  remembered.remember(entryOf(text));
  const body = remembered.bodyOf(text) as { input: { a: number[] } };
  expect(body).toEqual({ input: { a: [1] } });
  expect(() => body.input.a.push(2)).toThrow(TypeError);
  expect(remembered.met(schema, body)).toBe(true);
  expect(remembered.met({}, body)).toBe(false);
  expect(remembered.met(schema, JSON.parse(text))).toBe(false);
  expect(remembered.planOf(body, 't', 'd')).toBe(plan);
  expect(remembered.planOf(body, 'u', 'd')).toBeUndefined();
  expect(remembered.planOf(body, 't', 'e')).toBeUndefined();
});

test('a new version takes the place of the old one', () => {
  const remembered = new Remembered();
  const text = '{"input":1}';
  remembered.remember(entryOf(text));
  const body = remembered.bodyOf(text) as object;
  remembered.remember({ ...entryOf(text, 'e'), body });
  expect(remembered.planOf(body, 't', 'e')).toBe(plan);
});

test('it is bounded: what nobody asks for any more goes, what is asked for stays', () => {
  const remembered = new Remembered();
  const text = (n: number) => `{"input":${n}}`;
  for (let n = 0; n < 20_000; n++) {
    remembered.remember(entryOf(text(n)));
    remembered.bodyOf(text(0));
  }
  expect(remembered.bodyOf(text(0))).toBeDefined();
  expect(remembered.bodyOf(text(1))).toBeUndefined();
  expect(remembered.bodyOf(text(19_999))).toBeDefined();
  const long = `{"input":"${'x'.repeat(2_000)}"}`;
  remembered.remember(entryOf(long));
  expect(remembered.bodyOf(long)).toBeUndefined();
});
