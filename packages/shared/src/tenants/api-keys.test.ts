import { randomBytes } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { formOfKey, newKey } from './api-keys.ts';

describe('the form of a key', () => {
  test('is recognized without a query', () => {
    expect(formOfKey(newKey())).toBe('checked');
    expect(formOfKey(`mrk_${randomBytes(32).toString('base64url')}`)).toBe('unchecked');
    for (const text of ['', 'mrk_', 'mrk_wrong', `mrk_${'x'.repeat(49)}`, `xrk_${'x'.repeat(43)}`, `${newKey()}x`])
      expect(formOfKey(text), text).toBeUndefined();
  });

  test('is undefined after a change of one character', () => {
    const characters = fc.constantFrom(...'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_');
    fc.assert(
      fc.property(fc.nat(48), characters, (at, character) => {
        const key = newKey();
        fc.pre(key[at + 4] !== character);
        const other = key.slice(0, at + 4) + character + key.slice(at + 5);
        expect(formOfKey(other)).toBeUndefined();
      }),
    );
  });
});
