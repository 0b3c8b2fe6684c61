/** Images by URL and by file: equal content is one result, and no URL reaches a private network or holds a request. */
import { once } from 'node:events';
import { mkdtempSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { deflateSync } from 'node:zlib';
import { loadConfig } from '@millrace/shared/process/config';
import pino from 'pino';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type RunningApi, startApi } from '../../apps/api/src/server.ts';
import { internalSpellings } from '../support/internal-spellings.ts';
import { useMillrace } from '../support/millrace.ts';

const folder = mkdtempSync(path.join(tmpdir(), 'millrace-images-'));
const LIMIT = 100_000;
const millrace = useMillrace({
  modelsDir: path.join(import.meta.dirname, 'image-models/models'),
  models: ['vit'],
  env: {
    FILES_URL: folder,
    IMAGE_ALLOW_HTTP: 'true',
    IMAGE_ALLOWED_NETWORKS: '127.0.0.1/32',
    IMAGE_LIMIT: String(LIMIT),
    IMAGE_TIMEOUT_MS: '1000',
  },
});
const png = await sharp({ create: { width: 40, height: 30, channels: 3, background: '#3366cc' } })
  .png()
  .toBuffer();
const other = await sharp({ create: { width: 40, height: 30, channels: 3, background: '#cc6633' } })
  .png()
  .toBuffer();
const dataUrl = (bytes: Buffer) => `data:image/png;base64,${bytes.toString('base64')}`;

let server: Server;
let origin: string;
let present = png;
let requests = 0;

const IMAGE = { 'content-type': 'image/png' };
const routes: Record<string, (request: IncomingMessage, response: ServerResponse) => void> = {
  '/image': (_, response) => response.writeHead(200, IMAGE).end(present),
  '/moved': (_, response) => response.writeHead(302, { location: '/image' }).end(),
  '/loop': (_, response) => response.writeHead(302, { location: '/loop' }).end(),
  '/inward': (_, response) => response.writeHead(302, { location: 'http://169.254.169.254/latest/meta-data' }).end(),
  '/file': (_, response) => response.writeHead(302, { location: 'file:///etc/passwd' }).end(),
  '/page': (_, response) => response.writeHead(200, { 'content-type': 'text/html' }).end('<html>'),
  '/missing': (_, response) => response.writeHead(404).end(),
  '/text': (_, response) => response.writeHead(200, IMAGE).end('this is no image'),
  '/announced': (_, response) => response.writeHead(200, { ...IMAGE, 'content-length': '999999999' }).write('x'),
  '/endless': (_, response) => {
    response.writeHead(200, IMAGE);
    const write = () => {
      while (response.write(Buffer.alloc(16_384)));
      response.once('drain', write);
    };
    write();
  },
  '/silent': () => {},
  '/slow': (_, response) => {
    response.writeHead(200, IMAGE).write(png.subarray(0, 10));
  },
  '/cut': (_, response) => {
    response.writeHead(200, { ...IMAGE, 'content-length': '5000' }).write(png, () => response.destroy());
  },
  '/gzip': (_, response) => response.writeHead(200, { ...IMAGE, 'content-encoding': 'gzip' }).end(png),
};

beforeAll(async () => {
  server = createServer((request, response) => {
    requests += 1;
    routes[request.url ?? '']?.(request, response);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterAll(async () => {
  server.closeAllConnections();
  server.close();
  await rm(folder, { recursive: true, force: true });
});

const predict = (image: unknown) => millrace.predict('vit', { input: { image } }, { prefer: 'wait=30' });

/** A PNG whose header announces more pixels than any server can hold. */
function bomb(): Buffer {
  const chunk = (type: string, data: Buffer) => {
    const length = Buffer.alloc(4);
    length.writeUInt32BE(data.length);
    return Buffer.concat([length, Buffer.from(type), data, Buffer.alloc(4)]);
  };
  const head = Buffer.from([0, 0, 0xff, 0xff, 0, 0, 0xff, 0xff, 8, 2, 0, 0, 0]);
  const signature = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);
  return Buffer.concat([signature, chunk('IHDR', head), chunk('IDAT', deflateSync(Buffer.alloc(1_000)))]);
}

/** Repeats a prediction until the response is a hit: the worker writes the result to the cache beside the first response. */
const untilCached = (image: unknown) =>
  expect.poll(async () => (await predict(image)).headers.get('cache-status')).toContain('hit');

test('a URL, a redirect, a file and a data URL of equal content are one result', async () => {
  const first = await predict(dataUrl(png));
  expect(first.body.status).toBe('succeeded');
  await untilCached(dataUrl(png));
  const upload = await fetch(`${millrace.url}/v1/files`, { method: 'POST', body: new Uint8Array(png) });
  const { id } = (await upload.json()) as { id: string };
  for (const image of [`${origin}/image`, `${origin}/moved`, { file: id }]) {
    const { headers, body } = await predict(image);
    expect([headers.get('cache-status')?.startsWith('millrace; hit'), body.output]).toEqual([true, first.body.output]);
  }
});

test('the content decides and not the URL: a changed image has another result, also after a hit', async () => {
  const a = await predict(`${origin}/image`);
  await untilCached(`${origin}/image`);
  present = other;
  const changed = await predict(`${origin}/image`);
  present = png;
  expect(changed.body.output).not.toEqual(a.body.output);
  expect(changed.body.output).toEqual((await predict(dataUrl(other))).body.output);
});

test('a deleted file is refused, also after a hit', async () => {
  const upload = await fetch(`${millrace.url}/v1/files`, { method: 'POST', body: new Uint8Array(other) });
  const { id } = (await upload.json()) as { id: string };
  for (let round = 0; round < 2; round += 1) expect((await predict({ file: id })).status).toBe(200);
  await fetch(`${millrace.url}/v1/files/${id}`, { method: 'DELETE' });
  const { status, body } = await predict({ file: id });
  expect([status, body.code, body.errors[0].pointer]).toEqual([422, 'invalid_input', '/input/image/file']);
});

interface FormRequest {
  parts: Record<string, Buffer | string>;
  headers?: Record<string, string>;
  where?: string;
}

async function sendForm({ parts, headers = {}, where = '/v1/models/vit/predictions' }: FormRequest) {
  const form = new FormData();
  for (const [name, part] of Object.entries(parts))
    if (typeof part === 'string') form.set(name, part);
    else form.set(name, new Blob([new Uint8Array(part)], { type: 'image/png' }), 'a.png');
  const options = { method: 'POST', headers: { prefer: 'wait=30', ...headers }, body: form };
  const response = await fetch(millrace.url + where, options);
  // biome-ignore lint/suspicious/noExplicitAny: the tests check the members of a body.
  return { status: response.status, headers: response.headers, body: (await response.json()) as any };
}

test('an image in a form is the input of a prediction, and equals the same image in JSON', async () => {
  const image = await sharp({ create: { width: 31, height: 17, channels: 3, background: '#123456' } })
    .png()
    .toBuffer();
  const first = await sendForm({ parts: { image } });
  expect([first.status, first.body.status]).toEqual([200, 'succeeded']);
  await untilCached(dataUrl(image));
  for (const again of [await sendForm({ parts: { image } }), await predict(dataUrl(image))]) {
    expect(again.headers.get('cache-status')).toContain('hit');
    expect(again.body.output).toEqual(first.body.output);
  }
  const request = JSON.stringify({ metadata: { order: 'A-17' }, priority: 'high' });
  const { body } = await sendForm({ parts: { image, request }, where: '/v1/models/vit/versions/1/predictions' });
  expect(body).toMatchObject({ metadata: { order: 'A-17' }, priority: 'high', output: first.body.output });
  const named = await sendForm({ parts: { image: `${origin}/image` } });
  expect(named.body.output).toEqual((await predict(dataUrl(png))).body.output);
});

test('a key names the prediction of a form, and refuses another form', async () => {
  const image = await sharp({ create: { width: 30, height: 17, channels: 3, background: '#654321' } })
    .png()
    .toBuffer();
  const headers = { 'idempotency-key': '"form-1"', 'cache-control': 'no-cache' };
  const [first, again] = [await sendForm({ parts: { image }, headers }), await sendForm({ parts: { image }, headers })];
  expect(again.body.id).toBe(first.body.id);
  const differs = await sendForm({ parts: { image: png }, headers });
  expect([differs.status, differs.body.code]).toEqual([422, 'idempotency_mismatch']);
});

test.each<[string, FormRequest, number, string, string | undefined]>([
  ['a damaged image', { parts: { image: Buffer.from('no image') } }, 422, 'invalid_input', '/input/image'],
  ['a large file', { parts: { image: Buffer.alloc(LIMIT + 1) } }, 400, 'invalid_request', '/input/image'],
  ['a larger body', { parts: { image: Buffer.alloc(9_000_000) } }, 413, 'payload_too_large', ''],
  ['no image', { parts: {} }, 400, 'invalid_request', '/input/image'],
  ['an unknown part', { parts: { image: png, other: 'x' } }, 400, 'invalid_request', '/input/other'],
  ['wrong JSON', { parts: { image: png, request: '{"a":1,"a":2}' } }, 400, 'invalid_json', '/a'],
  ['an unknown member', { parts: { image: png, request: '{"a":1}' } }, 400, 'invalid_request', '/a'],
  [
    'another route',
    { parts: { image: png }, where: '/v1/predictions/cancel' },
    415,
    'unsupported_media_type',
    undefined,
  ],
])('a form with %s is refused', async (_, form, status, code, pointer) => {
  const { body, ...response } = await sendForm(form);
  expect([response.status, body.code, body.errors?.[0].pointer]).toEqual([status, code, pointer]);
});

test.each([
  ['/loop', 'image_refused'],
  ['/inward', 'image_refused'],
  ['/file', 'image_refused'],
  ['/page', 'image_refused'],
  ['/missing', 'image_unavailable'],
  ['/text', 'invalid_input'],
  ['/announced', 'image_refused'],
  ['/endless', 'image_refused'],
  ['/silent', 'image_unavailable'],
  ['/slow', 'image_unavailable'],
  ['/cut', 'image_unavailable'],
  ['/gzip', 'image_refused'],
])('a server that responds as %s is %s', async (where, code) => {
  const { status, body } = await predict(origin + where);
  expect([status, body.code, body.errors[0].pointer]).toEqual([422, code, '/input/image']);
});

test.each([
  ['an image bomb', dataUrl(bomb())],
  ['other bytes', dataUrl(Buffer.from('hello'))],
  ['no base64', 'data:image/png;base64,%%%'],
  ['a data URL without base64', 'data:image/png,abc'],
  ['a path', '/etc/passwd'],
  ['a URL of a file', 'file:///etc/passwd'],
  ['an unknown file', { file: 'file_00000000000000000000000000000000' }],
])('%s is refused with 422', async (_, image) => {
  const { status, body } = await predict(image);
  expect([status, body.code]).toEqual([422, 'invalid_input']);
});

/** Images with a valid head and damaged pixels. Only the decoder of the engine finds the damage. */
const jpeg = await sharp({ create: { width: 40, height: 30, channels: 3, background: '#3366cc' } })
  .jpeg()
  .toBuffer();
const flipped = Buffer.from(png);
flipped.fill(0xff, 60, 70);
const DAMAGED = {
  'a PNG that ends early': png.subarray(0, 60),
  'a PNG with other pixels': flipped,
  'a JPEG that ends after its head': jpeg.subarray(0, jpeg.indexOf(Buffer.from([0xff, 0xda]))),
};
const damage = (pointer: string) => ({
  code: 'invalid_input',
  status: 422,
  detail: 'The image cannot be decoded: its content is damaged or incomplete.',
  errors: [{ in: 'body', pointer, expected: expect.stringContaining('whole content') }],
});

test.each(Object.entries(DAMAGED))('%s fails its prediction as a fault of the input', async (_, bytes) => {
  const { status, body } = await predict(dataUrl(bytes));
  expect([status, body.status]).toEqual([200, 'failed']);
  expect(body.error).toMatchObject(damage('/input/image'));
});

test('a damaged image of a list fails alone, and fails a prediction without on_error with its place', async () => {
  const images = [png, other, flipped, jpeg].map((bytes) => ({ image: dataUrl(bytes) }));
  const { body } = await millrace.predict('vit', { inputs: images, on_error: 'row' }, { prefer: 'wait=30' });
  expect(body.outputs.map((output: unknown) => output === null)).toEqual([false, false, true, false]);
  expect(body.row_errors).toMatchObject([{ row: 2, error: damage('/inputs/2/image') }]);
  const whole = await millrace.predict('vit', { inputs: images }, { prefer: 'wait=30' });
  expect(whole.body).toMatchObject({ status: 'failed', error: damage('/inputs/2/image') });
});

test('an invalid row of a list has its own error', async () => {
  const inputs = [{ image: `${origin}/missing` }, { image: `${origin}/image` }];
  const { body } = await millrace.predict('vit', { inputs, on_error: 'row' }, { prefer: 'wait=30' });
  expect(body.outputs[0]).toBeNull();
  expect(body.outputs[1]).toMatchObject({ label: expect.any(String) });
  expect(body.row_errors).toMatchObject([{ row: 0, error: { code: 'image_unavailable' } }]);
});

describe('without IMAGE_ALLOWED_NETWORKS', () => {
  let strict: RunningApi;
  beforeAll(async () => {
    const env = { ...millrace.env, IMAGE_ALLOWED_NETWORKS: '' };
    strict = await startApi(loadConfig(env), pino({ level: 'silent' }));
  });
  afterAll(() => strict?.close(5_000));

  test('every spelling of an internal address is refused, and no request leaves', async () => {
    const before = requests;
    const { port } = new URL(origin);
    for (const host of internalSpellings) {
      const response = await fetch(`${strict.url}/v1/models/vit/predictions`, {
        method: 'POST',
        headers: { 'content-type': 'application/json', prefer: 'wait=30' },
        body: JSON.stringify({ input: { image: `http://${host}:${port}/image` } }),
      });
      const { code } = (await response.json()) as { code: string };
      expect([host, response.status, code]).toEqual([host, 422, 'image_refused']);
    }
    expect(requests).toBe(before);
  });
});
