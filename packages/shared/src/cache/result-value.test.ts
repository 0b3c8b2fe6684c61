import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { sealJson, unsealJson } from './checksum.ts';
import { decodeResult, encodeResult } from './result-value.ts';

const KEY = createHash('sha256').update('an input').digest('hex');
const OUTPUT = '{"label":"größer","score":0.25}';
const BODY = `{"id":"018f","status":"succeeded","output":${OUTPUT},"error":null}`;
const NOW = 1_800_000_000_000;
const stored = { cacheKey: KEY, storedAt: NOW, freshUntil: NOW + 1_000 };
const withBody = encodeResult({ ...stored, output: OUTPUT, body: BODY });
const rowAlone = encodeResult({ ...stored, output: OUTPUT, body: null });

/** A value in the format of 0.1.0. */
function oldValue(): Buffer {
  const head = Buffer.alloc(56);
  head.write(KEY, 'hex');
  head.writeDoubleLE(NOW, 32);
  head.writeDoubleLE(NOW + 1_000, 40);
  head.writeUInt32LE(BODY.indexOf('"output":') + 9, 48);
  head.writeUInt32LE(Buffer.byteLength(OUTPUT), 52);
  return Buffer.concat([head, Buffer.from(BODY)]);
}

describe('a cached result', () => {
  test('is read as it was stored, with or without a body', () => {
    expect(decodeResult(KEY, withBody)).toMatchObject({ storedAt: NOW, freshUntil: NOW + 1_000 });
    expect(decodeResult(KEY, withBody)?.body?.toString()).toBe(BODY);
    expect(decodeResult(KEY, withBody)?.output.toString()).toBe(OUTPUT);
    expect(decodeResult(KEY, rowAlone)?.body).toBeNull();
    expect(decodeResult(KEY, rowAlone)?.output.toString()).toBe(OUTPUT);
  });

  test.each([
    ['with a body', withBody],
    ['of a row alone', rowAlone],
  ])('%s is refused at every other length', (_, value) => {
    for (let length = 0; length < value.length; length += 1)
      expect(decodeResult(KEY, value.subarray(0, length)), `${length} bytes`).toBeNull();
    expect(decodeResult(KEY, Buffer.concat([value, Buffer.from(' ')]))).toBeNull();
  });

  test('is refused with any bit changed', () => {
    for (let bit = 0; bit < withBody.length * 8; bit += 1) {
      const damaged = Buffer.from(withBody);
      damaged[bit >> 3] = (damaged[bit >> 3] as number) ^ (1 << (bit & 7));
      expect(decodeResult(KEY, damaged), `bit ${bit}`).toBeNull();
    }
  });

  test('is refused after random changes of bytes, cuts and other text', () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.nat(withBody.length - 1), fc.integer({ min: 1, max: 255 })), { minLength: 1 }),
        fc.nat(withBody.length),
        (changes, length) => {
          const damaged = Buffer.from(withBody);
          for (const [at, flip] of changes) damaged[at] = (damaged[at] as number) ^ flip;
          const cut = damaged.subarray(0, length);
          return cut.equals(withBody) || decodeResult(KEY, cut) === null;
        },
      ),
      { numRuns: 5_000 },
    );
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => decodeResult(KEY, Buffer.from(bytes)) === null),
    );
  });

  test('in the format of 0.1.0 or under another key is refused', () => {
    expect(decodeResult(KEY, oldValue())).toBeNull();
    expect(decodeResult('0'.repeat(64), withBody)).toBeNull();
  });
});

describe('a cached query', () => {
  const json = JSON.stringify({ models: [{ model: 'größe', digest: 'a1' }] });

  test('is read as it was sealed, and is still JSON for a process of 0.1.0', () => {
    expect(unsealJson(sealJson(json))).toBe(json);
    expect(JSON.parse(sealJson(json))).toEqual(JSON.parse(json));
  });

  test('is refused without a checksum, shortened, or with a character changed', () => {
    const sealed = sealJson(json);
    expect(unsealJson(json)).toBeUndefined();
    expect(unsealJson('')).toBeUndefined();
    for (let at = 0; at < sealed.length; at += 1) {
      expect(unsealJson(sealed.slice(0, at))).toBeUndefined();
      const other = sealed[at] === 'b' ? 'c' : 'b';
      expect(unsealJson(`${sealed.slice(0, at)}${other}${sealed.slice(at + 1)}`)).toBeUndefined();
    }
  });
});
