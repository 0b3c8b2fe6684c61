import { hash } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { encodeNamed, type NamedResult, namedIn, outputChecksum } from './named-result.ts';
import { decodeResult, encodeResult } from './result-value.ts';

const KEY = hash('sha256', 'an input', 'hex');
const NOW = 1_800_000_000_000;
const NAMED: NamedResult = {
  prediction: '01890a5d-ac96-774b-bcce-b302099a8057',
  storedAt: NOW,
  freshUntil: NOW + 1_000.5,
  bytes: 12_345_678,
  checksum: 4_294_967_295,
  isShown: true,
};

describe('a cached value that names a prediction', () => {
  test.each([true, false])('is read as it was stored, where the prediction is shown: %s', (isShown) => {
    const value = encodeNamed(KEY, { ...NAMED, isShown });
    const result = decodeResult(KEY, value);
    expect(result && namedIn(result)).toEqual({ ...NAMED, isShown });
    expect(value.length).toBeLessThan(300);
  });

  test('was never fresh, so that a process which does not know the name computes the result', () => {
    expect(decodeResult(KEY, encodeNamed(KEY, NAMED))).toMatchObject({ freshUntil: 0, storedAt: 0, body: null });
  });

  test('is refused under another key, and with a byte changed', () => {
    const value = encodeNamed(KEY, NAMED);
    expect(decodeResult('0'.repeat(64), value)).toBeNull();
    for (let at = 0; at < value.length; at += 1) {
      const damaged = Buffer.from(value);
      damaged[at] = (damaged[at] as number) ^ 1;
      expect(decodeResult(KEY, damaged), `byte ${at}`).toBeNull();
    }
  });

  test.each([
    ['an output that begins like a name', { storedAt: 0, freshUntil: NOW, body: null }],
    ['a whole prediction', { storedAt: 0, freshUntil: 0, body: '{"output":{"millrace_output_of":"a"}}' }],
  ])('is not %s', (_, others) => {
    const result = decodeResult(KEY, encodeResult({ cacheKey: KEY, output: '{"millrace_output_of":"a"}', ...others }));
    expect(result && namedIn(result)).toBeUndefined();
  });

  test('is not the value of a discarded result', () => {
    const value = encodeResult({ cacheKey: KEY, storedAt: 0, freshUntil: 0, output: 'null', body: null });
    const result = decodeResult(KEY, value);
    expect(result && namedIn(result)).toBeUndefined();
  });
});

describe('the checksum of an output', () => {
  const bytes = Buffer.alloc(9_000_001, 'abc');

  test('is the same in any pieces, and runs in several turns of the event loop', async () => {
    let turns = 0;
    const count = (): void => {
      turns += 1;
      next = setImmediate(count);
    };
    let next = setImmediate(count);
    const whole = await outputChecksum({ pieces: [bytes] });
    clearImmediate(next);
    expect(turns).toBeGreaterThanOrEqual(2);
    for (const length of [1_000_000, 4_194_304, 8_999_999]) {
      const pieces = [bytes.subarray(0, length), bytes.subarray(length)];
      expect(await outputChecksum({ pieces })).toBe(whole);
    }
    const other = Buffer.from(bytes);
    other[8_999_999] = 0;
    expect(await outputChecksum({ pieces: [other] })).not.toBe(whole);
  });

  test('of no bytes is a number', async () => {
    expect(await outputChecksum({ pieces: [] })).toBe(0);
  });
});
