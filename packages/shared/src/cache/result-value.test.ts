import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { joinTexts, LongText } from '../predictions/long-text.ts';
import { PIECE_BYTES } from '../redis/long-values.ts';
import { checksumOf, sealJson, unsealJson } from './checksum.ts';
import { type CachedResult, decodeLongResult, decodeResult, encodeResult, isCut } from './result-value.ts';

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

describe('a long cached result', () => {
  const output = new LongText([Buffer.from('["'), Buffer.alloc(PIECE_BYTES, 'x'), Buffer.from('"]')]);
  const body = joinTexts(['{"id":"018f","größe":1,"output":', output, ',"error":null}']);
  const textOf = (text: CachedResult['output'] | null | undefined) =>
    text && (Buffer.isBuffer(text) ? text : Buffer.concat(text.pieces)).toString();

  /** The value as Redis returns the value in pieces of `bytes`, with the checksum that the writer and the reader compute. */
  function read(value: ReturnType<typeof encodeResult>, bytes = 100_000) {
    const all = Buffer.isBuffer(value) ? value : Buffer.concat(value.pieces);
    const checksum = checksumOf(all.subarray(4));
    all.writeUInt32LE(checksum, 0);
    const pieces: Buffer[] = [];
    for (let at = 0; at < all.length; at += bytes) pieces.push(all.subarray(at, at + bytes));
    return { value: new LongText(pieces), checksum };
  }

  test('is stored in its pieces, and read as it was stored, with or without a body', () => {
    const value = encodeResult({ ...stored, output, body });
    expect(Buffer.isBuffer(value)).toBe(false);
    const whole = decodeLongResult(KEY, read(value));
    expect(whole).toMatchObject({ storedAt: NOW, freshUntil: NOW + 1_000 });
    expect([textOf(whole?.body) === String(body), textOf(whole?.output) === String(output)]).toEqual([true, true]);
    const row = decodeLongResult(KEY, read(encodeResult({ ...stored, output, body: null })));
    expect([row?.body, textOf(row?.output) === String(output)]).toEqual([null, true]);
  });

  test('is read when the beginning of its body arrived in very short pieces', () => {
    const bytes = Buffer.concat(body.pieces);
    const short = Array.from({ length: 60 }, (_, at) => bytes.subarray(at, at + 1));
    const inShort = new LongText([...short, bytes.subarray(60)]);
    const whole = decodeLongResult(KEY, read(encodeResult({ ...stored, output, body: inShort })));
    // Not toBe: a failure would print half a megabyte.
    expect(textOf(whole?.output) === String(output)).toBe(true);
  });

  test('that fits in one piece is one value with its checksum', () => {
    const short = new LongText([Buffer.from('"größe'), Buffer.from('"')]);
    const value = encodeResult({ ...stored, output: short, body: null });
    expect(Buffer.isBuffer(value)).toBe(true);
    expect(textOf(decodeResult(KEY, value as Buffer)?.output)).toBe('"größe"');
    const inBody = encodeResult({ ...stored, output: short, body: joinTexts(['{"output":', short, '}']) });
    expect(textOf(decodeResult(KEY, inBody as Buffer)?.output)).toBe('"größe"');
    // Without a byte of the output, the value is the head alone.
    expect(textOf(decodeResult(KEY, encodeResult({ ...stored, output: '', body: null }))?.output)).toBe('');
  });

  test('is refused with another checksum, under another key, without a part, and without its head', () => {
    const good = read(encodeResult({ ...stored, output, body }));
    expect(decodeLongResult(KEY, { ...good, checksum: good.checksum ^ 1 })).toBeNull();
    expect(decodeLongResult('0'.repeat(64), good)).toBeNull();
    const cut = good.value.slice(0, good.value.length - 1);
    expect(decodeLongResult(KEY, { ...good, value: cut })).toBeNull();
    expect(decodeLongResult(KEY, { ...good, value: new LongText([]) })).toBeNull();
    expect(decodeLongResult(KEY, { ...good, value: good.value.slice(0, 10) })).toBeNull();
  });

  test('is refused when its head gives the output more bytes than the value has, although its checksum is right', () => {
    const value = Buffer.from(rowAlone);
    value.writeUInt32LE(Buffer.byteLength(OUTPUT) + 1, 60);
    value.writeUInt32LE(checksumOf(value.subarray(4)), 0);
    expect(decodeResult(KEY, value)).toBeNull();
  });

  test('is recognized as cut by its first bytes', () => {
    const value = encodeResult({ ...stored, output, body });
    const { pieces } = read(value, 1_000).value;
    const [first = Buffer.alloc(0)] = pieces;
    expect(isCut(first, 1_000)).toBe(true);
    expect(isCut(first, 2_000)).toBe(false);
    expect(isCut(withBody, withBody.length)).toBe(false);
    expect(isCut(withBody.subarray(0, 70), 70)).toBe(true);
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
