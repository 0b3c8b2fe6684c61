import { expect, test } from 'vitest';
import { idempotencyKeyIn, idempotencyKeyOf } from './idempotency-key.ts';

const accepted: [name: string, value: string, key: string][] = [
  ['a UUID', '0190b5a4-4e1c-7c4e-8f5e-2b1f6a1c9d10', '0190b5a4-4e1c-7c4e-8f5e-2b1f6a1c9d10'],
  ['one character', 'a', 'a'],
  ['255 characters', 'k'.repeat(255), 'k'.repeat(255)],
  ['a quoted string, as the IETF draft defines', '"order-7"', 'order-7'],
  ['255 characters in quotes', `"${'k'.repeat(255)}"`, 'k'.repeat(255)],
  ['spaces around the key', '  order-7 ', 'order-7'],
  ['spaces and quotes in the key', 'order "7" of may', 'order "7" of may'],
  ['a tilde and an exclamation mark', '!~', '!~'],
];
const refused: [name: string, value: string][] = [
  ['an empty key', ''],
  ['quotes without a key', '""'],
  ['spaces only', '   '],
  ['256 characters', 'k'.repeat(256)],
  ['256 characters in quotes', `"${'k'.repeat(256)}"`],
  ['a control character', 'order\t7'],
  ['DEL', 'order\x7f'],
  ['a character beyond ASCII', 'größe'],
];

test.each(accepted)('%s is a key', (_, value, key) => {
  expect(idempotencyKeyOf(value)).toBe(key);
  expect(idempotencyKeyIn(value)).toBe(key);
});

test.each(refused)('%s is no key', (_, value) => {
  expect(() => idempotencyKeyOf(value)).toThrow(expect.objectContaining({ code: 'invalid_header' }));
  expect(() => idempotencyKeyIn(value)).toThrow(expect.objectContaining({ code: 'invalid_request' }));
});

test('a request without the header has no key', () => {
  expect(idempotencyKeyOf(undefined)).toBeUndefined();
});
