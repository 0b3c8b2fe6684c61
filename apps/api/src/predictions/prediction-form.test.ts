import { ApiError } from '@millrace/shared/errors';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { readPredictionForm } from './prediction-form.ts';

const limits = {
  fileBytes: 100,
  jsonBytes: 200,
  stringLength: 50,
  parseJson: (text: string): unknown => JSON.parse(text),
};
const BOUNDARY = 'x-boundary-x';
const TYPE = `multipart/form-data; boundary=${BOUNDARY}`;

interface Part {
  /** The header `Content-Disposition` after `form-data`. */
  about: string;
  headers?: string[];
  content: string | Buffer;
}

function formOf(parts: readonly Part[]): Buffer {
  const pieces = parts.flatMap(({ about, headers = [], content }) => [
    Buffer.from([`--${BOUNDARY}`, `Content-Disposition: form-data${about}`, ...headers, '', ''].join('\r\n')),
    Buffer.from(content),
    Buffer.from('\r\n'),
  ]);
  return Buffer.concat([...pieces, Buffer.from(`--${BOUNDARY}--\r\n`)]);
}
const text = (name: string, content: string): Part => ({ about: `; name="${name}"`, content });
const file = (name: string, content: string | Buffer, ...headers: string[]): Part => ({
  about: `; name="${name}"; filename="a.bin"`,
  headers,
  content,
});
const read = (parts: readonly Part[]) => readPredictionForm(formOf(parts), TYPE, limits);

test('files and texts become members of the input, and the part request the rest of the body', async () => {
  const parts = [
    file('image', Buffer.from([0, 255, 13, 10, 45, 45]), 'Content-Type: Image/PNG'),
    file('sound', 'abc'),
    text('caption', 'Was? 日本\r\n--x-boundary'),
    text('request', '{"metadata":{"order":"1"},"input":{"more":1}}'),
  ];
  expect(await read(parts)).toEqual({
    metadata: { order: '1' },
    input: {
      more: 1,
      image: 'data:image/png;base64,AP8NCi0t',
      sound: 'data:text/plain;base64,YWJj',
      caption: 'Was? 日本\r\n--x-boundary',
    },
  });
});

test('a form of no part is a body with an empty input', async () => {
  expect(await read([])).toEqual({ input: {} });
});

describe('refused are', () => {
  test.each<[string, Part[], string]>([
    ['a part twice', [text('a', '1'), file('a', '2')], '/input/a'],
    ['the request twice', [text('request', '{}'), text('request', '{}')], '/request'],
    ['the request as a file', [file('request', '{}')], '/request'],
    ['a request that is no object', [text('request', '[1]')], '/request'],
    ['a list of inputs', [text('request', '{"inputs":[1]}')], '/inputs'],
    ['an input that is no object', [text('request', '{"input":1}')], '/input'],
    ['a member twice', [text('a/b', '1'), text('request', '{"input":{"a/b":1}}')], '/input/a~1b'],
    ['a part without a name', [{ about: '', content: '1' }], ''],
    ['a file without a name', [{ about: '; filename="a"', content: '1' }], ''],
    ['an empty name', [text('', '1')], ''],
    ['__proto__', [text('__proto__', '1')], ''],
    ['a long name', [text('n'.repeat(101), '1')], ''],
    ['a long text', [text('a', 'x'.repeat(51))], '/input/a'],
    ['a long request', [text('request', `{"a":"${'x'.repeat(200)}"}`)], '/request'],
    ['a large file', [file('a', Buffer.alloc(101))], '/input/a'],
    ['an encoded file', [file('a', 'YWJj', 'Content-Transfer-Encoding: base64')], '/input/a'],
    ['bytes that are not UTF-8', [{ about: '; name="a"', content: Buffer.from([0xff]) }], '/input/a'],
    ['65 parts', Array.from({ length: 65 }, (_, at) => text(`a${at}`, '1')), ''],
  ])('%s', async (_, parts, pointer) => {
    await expect(read(parts)).rejects.toMatchObject({ code: 'invalid_request', faults: [{ pointer }] });
  });

  test.each([
    'multipart/form-data',
    'multipart/form-data; boundary=',
    `multipart/form-data; boundary=${'x'.repeat(71)}`,
    'multipart/form-data; boundary=other',
  ])('a form of the type %s', async (type) => {
    await expect(readPredictionForm(formOf([text('a', '1')]), type, limits)).rejects.toMatchObject({
      code: 'invalid_request',
    });
  });
});

test('a damaged form is read or refused, and never waits', { timeout: 60_000 }, async () => {
  const whole = formOf([file('image', Buffer.alloc(40, 7)), text('a', 'b'), text('request', '{"input":{}}')]);
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.record({ at: fc.nat(whole.length - 1), cut: fc.nat(40), put: fc.uint8Array({ maxLength: 8 }) }), {
        minLength: 1,
        maxLength: 3,
      }),
      fc.nat(whole.length),
      async (changes, end) => {
        let form = whole;
        for (const { at, cut, put } of changes)
          form = Buffer.concat([form.subarray(0, at), put, form.subarray(at + cut)]);
        for (const bytes of [form, form.subarray(0, end)]) {
          const outcome = await readPredictionForm(bytes, TYPE, limits).catch((error: unknown) => error);
          if (outcome instanceof Error && !(outcome instanceof SyntaxError)) expect(outcome).toBeInstanceOf(ApiError);
        }
      },
    ),
    { numRuns: 500 },
  );
});
