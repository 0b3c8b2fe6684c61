/** `/v1/files` with a folder: uploads in every form, the limits of an upload, tenants, expiry, and the remains of a killed upload. */
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync } from 'node:fs';
import { readdir, rm } from 'node:fs/promises';
import { request as httpRequest } from 'node:http';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { createPool, type Pool } from '@millrace/shared/postgres/db';
import { loadConfig } from '@millrace/shared/process/config';
import { createApiKey } from '@millrace/shared/tenants/api-keys';
import pino from 'pino';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { type RunningApi, startApi } from '../../apps/api/src/server.ts';
import { useMillrace } from '../support/millrace.ts';

const folder = mkdtempSync(path.join(tmpdir(), 'millrace-files-'));
const FILE_LIMIT = 2_000_000;
const millrace = useMillrace({
  models: [],
  env: {
    FILES_URL: folder,
    FILE_LIMIT: String(FILE_LIMIT),
    FILES_PER_TENANT: '9000000',
    REQUEST_TIMEOUT_MS: '1500',
    RECONCILE_MS: '100',
  },
});
let db: Pool;

beforeAll(() => {
  const { databaseUrl } = millrace.config;
  db = createPool({ databaseUrl, max: 2, statementTimeoutMs: 10_000, applicationName: 'files-test' });
});
afterAll(async () => {
  await db?.end();
  await rm(folder, { recursive: true, force: true });
});

// biome-ignore lint/suspicious/noExplicitAny: the tests check the members of a body.
const jsonOf = (response: Response): Promise<any> => response.json();
type Body = NonNullable<RequestInit['body']>;

const sha256 = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex');
const objects = async () =>
  (await readdir(folder, { recursive: true, withFileTypes: true })).filter((entry) => entry.isFile()).length;

async function upload(
  body: Body,
  { query = '', headers = {} }: { query?: string; headers?: Record<string, string> } = {},
) {
  const options = { method: 'POST', headers, body, duplex: 'half' };
  const response = await fetch(`${millrace.url}/v1/files${query}`, options as RequestInit);
  return { status: response.status, headers: response.headers, body: JSON.parse(await response.text()) };
}
const content = async (id: string) => {
  const response = await fetch(`${millrace.url}/v1/files/${id}/content`);
  return { response, bytes: Buffer.from(await response.arrayBuffer()) };
};
const formOf = (bytes: Uint8Array<ArrayBuffer>, name = 'file', filename = 'a.bin') => {
  const form = new FormData();
  form.set(name, new Blob([bytes], { type: 'image/png' }), filename);
  return form;
};

describe('a file', () => {
  test('is stored with its bytes, and every route shows the file', async () => {
    const bytes = randomBytes(300_000);
    const { status, headers, body } = await upload(bytes, {
      query: '?filename=cat%20%C3%A4.jpg&expires_in=3600',
      headers: { 'content-type': 'Image/JPEG; charset=x' },
    });
    expect(status).toBe(201);
    expect(headers.get('location')).toBe(`/v1/files/${body.id}`);
    expect(body).toEqual({
      id: expect.stringMatching(/^file_[0-9a-f]{32}$/),
      filename: 'cat ä.jpg',
      media_type: 'image/jpeg',
      bytes: 300_000,
      sha256: sha256(bytes),
      created_at: expect.any(String),
      expires_at: expect.any(String),
      urls: { self: `/v1/files/${body.id}`, content: `/v1/files/${body.id}/content` },
    });
    expect(Date.parse(body.expires_at) - Date.parse(body.created_at)).toBe(3_600_000);

    const read = await millrace.request(`/v1/files/${body.id}`);
    expect(read.body).toEqual(body);
    const again = await millrace.request(`/v1/files/${body.id}`, {
      headers: { 'if-none-match': read.headers.get('etag') ?? '' },
    });
    expect(again.status).toBe(304);
    const list = await millrace.request('/v1/files?limit=1');
    expect(list.body).toEqual({ data: [body], next: null, has_more: false });

    const { response, bytes: got } = await content(body.id);
    expect(got.equals(bytes)).toBe(true);
    expect(response.headers.get('content-type')).toBe('image/jpeg');
    expect(response.headers.get('content-length')).toBe('300000');
    expect(response.headers.get('content-disposition')).toContain("filename*=UTF-8''cat%20%C3%A4.jpg");
    expect(response.headers.get('content-security-policy')).toBe("default-src 'none'; sandbox");
    expect(response.headers.get('x-content-type-options')).toBe('nosniff');
    const head = await fetch(`${millrace.url}/v1/files/${body.id}/content`, { method: 'HEAD' });
    expect([head.status, head.headers.get('content-length')]).toEqual([200, '300000']);
  });

  test.each<[string, number | null, [from: number, to: number] | null]>([
    ['bytes=0-99', 206, [0, 100]],
    ['bytes=299990-', 206, [299_990, 300_000]],
    ['bytes=-10', 206, [299_990, 300_000]],
    ['Bytes=100-999999999', 206, [100, 300_000]],
    ['bytes=-999999999', 206, [0, 300_000]],
    ['bytes=0-0', 206, [0, 1]],
    ['bytes=300000-', 416, null],
    ['bytes=-0', 416, null],
    ['bytes=0-1,5-6', 200, [0, 300_000]],
    ['bytes=5-1', 200, [0, 300_000]],
    ['lines=0-1', 200, [0, 300_000]],
    ['bytes=0x1-2', 200, [0, 300_000]],
    ['bytes=1e3-', 200, [0, 300_000]],
    ['bytes=99999999999999999999-', 200, [0, 300_000]],
  ])('with Range: %s has status %s', async (range, status, places) => {
    const bytes = createHash('shake256', { outputLength: 300_000 }).update('ranges').digest();
    const { body } = await upload(bytes);
    const response = await fetch(`${millrace.url}${body.urls.content}`, { headers: { range } });
    const got = Buffer.from(await response.arrayBuffer());
    expect([response.status, response.headers.get('accept-ranges')]).toEqual([status, 'bytes']);
    if (places === null) {
      expect(response.headers.get('content-range')).toBe('bytes */300000');
      expect(JSON.parse(got.toString())).toMatchObject({
        code: 'range_not_satisfiable',
        errors: [{ in: 'header', name: 'Range' }],
      });
      return;
    }
    const [from, to] = places;
    expect(got.equals(bytes.subarray(from, to))).toBe(true);
    expect(response.headers.get('content-length')).toBe(String(to - from));
    expect(response.headers.get('content-range')).toBe(status === 206 ? `bytes ${from}-${to - 1}/300000` : null);
  });

  test('sends a range only of the content that the client knows', async () => {
    const { body } = await upload(randomBytes(1_000));
    const read = (headers: Record<string, string>, method = 'GET') =>
      fetch(`${millrace.url}${body.urls.content}`, { method, headers: { range: 'bytes=10-19', ...headers } });
    const etag = (await read({})).headers.get('etag') ?? '';
    const statuses = [
      (await read({ 'if-range': etag })).status,
      (await read({ 'if-range': '"other"' })).status,
      (await read({ 'if-range': `W/${etag}` })).status,
      (await read({ 'if-range': new Date().toUTCString() })).status,
      (await read({ 'if-none-match': etag })).status,
      (await read({}, 'HEAD')).status,
    ];
    expect(statuses).toEqual([206, 200, 200, 200, 304, 200]);
  });

  test('with equal content is one file with one id, and the later name', async () => {
    const bytes = randomBytes(1_000);
    const first = await upload(bytes, { query: '?filename=a&expires_in=9000' });
    const second = await upload(formOf(bytes, 'file', 'b.png'), { query: '?expires_in=60' });
    expect(second.body).toEqual({ ...first.body, filename: 'b.png', media_type: 'image/png' });
    expect((await content(first.body.id)).bytes.equals(bytes)).toBe(true);
  });

  test('comes back after its object was lost, when the content is uploaded again', async () => {
    const bytes = randomBytes(1_000);
    const { body } = await upload(bytes);
    const { rows } = await db.query('SELECT object FROM files WHERE sha256 = $1', [Buffer.from(body.sha256, 'hex')]);
    await rm(path.join(folder, rows[0].object));
    const lost = await millrace.request(`/v1/files/${body.id}/content`);
    expect([lost.status, lost.body.code]).toEqual([404, 'file_not_found']);
    await upload(bytes);
    expect((await content(body.id)).bytes.equals(bytes)).toBe(true);
  });

  test('is deleted once, with If-Match only as the client knows the file', async () => {
    const { body } = await upload(randomBytes(100));
    const self = `/v1/files/${body.id}`;
    const { headers } = await millrace.request(self);
    const refused = await millrace.request(self, { method: 'DELETE', headers: { 'if-match': '"other"' } });
    expect(refused.body.code).toBe('precondition_failed');
    const etag = headers.get('etag') ?? '';
    expect((await millrace.request(self, { method: 'DELETE', headers: { 'if-match': etag } })).status).toBe(204);
    const gone = await millrace.request(self, { method: 'DELETE' });
    expect([gone.status, gone.body.code]).toEqual([404, 'file_not_found']);
    expect((await millrace.request(`${self}/content`)).status).toBe(404);
  });

  test.each([
    'file_',
    'file_00000000000000000000000000000000',
    'pred_0197c7f05b1c7a529d0e3f6f0f6d2c11',
    '..',
    '%2e%2e%2fetc',
  ])('is not found under %s', async (id) => {
    expect((await fetch(`${millrace.url}/v1/files/${id}`)).status).toBe(404);
  });

  test.each([
    ['../../etc/passwd', 'passwd'],
    ['C:\\a\\b.txt', 'b.txt'],
    ['a\r\nx: y\0"b', 'ax: y"b'],
    ['..', null],
  ])('named %j has the name %j', async (given, name) => {
    const { body } = await upload(randomBytes(10), { query: `?filename=${encodeURIComponent(given)}` });
    expect(body.filename).toBe(name);
    const { response } = await content(body.id);
    expect(response.status).toBe(200);
  });
});

describe('a form', () => {
  test('may have the life of the file after the file', async () => {
    const form = formOf(randomBytes(70_000));
    form.append('expires_in', '120');
    const { status, body } = await upload(form);
    expect([status, body.bytes, body.media_type]).toEqual([201, 70_000, 'image/png']);
    expect(Date.parse(body.expires_at) - Date.parse(body.created_at)).toBe(120_000);
  });

  const two = formOf(randomBytes(10));
  two.append('file', new Blob(['b']), 'b');
  const field = formOf(randomBytes(10));
  field.append('purpose', 'batch');
  const life = formOf(randomBytes(10));
  life.append('expires_in', '-1');
  test.each<[string, Body, Record<string, string>]>([
    ['without a file', new FormData(), {}],
    ['with the file in another part', formOf(randomBytes(10), 'upload'), {}],
    ['with two files', two, {}],
    ['with an unknown part', field, {}],
    ['with a life that is no number', life, {}],
    ['without its boundary', 'x', { 'content-type': 'multipart/form-data' }],
    [
      'that ends in the file',
      '--b\r\ncontent-disposition: form-data; name="file"; filename="a"\r\n\r\nabc',
      { 'content-type': 'multipart/form-data; boundary=b' },
    ],
    [
      'with a part without a name',
      '--b\r\ncontent-disposition: form-data\r\n\r\nabc\r\n--b--\r\n',
      { 'content-type': 'multipart/form-data; boundary=b' },
    ],
    [
      'with a file without a name',
      '--b\r\ncontent-disposition: form-data; filename="a"\r\n\r\nabc\r\n--b--\r\n',
      { 'content-type': 'multipart/form-data; boundary=b' },
    ],
    ['with a long boundary', 'x', { 'content-type': `multipart/form-data; boundary=${'b'.repeat(71)}` }],
  ])('%s is refused, and no file is stored', async (_, form, headers) => {
    const { body: before } = await millrace.request('/v1/files?limit=100');
    const { status, body } = await upload(form, { headers });
    expect([status, body.code]).toEqual([400, 'invalid_request']);
    expect((await millrace.request('/v1/files?limit=100')).body).toEqual(before);
  });
});

describe('an upload', () => {
  test('beyond FILE_LIMIT is refused: before its bytes when they are announced, and in the middle otherwise', async () => {
    const announced = await upload(new Uint8Array(FILE_LIMIT + 100_000));
    expect([announced.status, announced.body.code]).toEqual([413, 'payload_too_large']);
    const { status } = await new Promise<{ status: number }>((resolve, reject) => {
      const client = httpRequest(`${millrace.url}/v1/files`, { method: 'POST' }, (response) => {
        response.resume();
        resolve({ status: response.statusCode ?? 0 });
        client.destroy();
      });
      client.on('error', reject);
      const write = () => {
        while (client.write(new Uint8Array(65_536)));
        client.once('drain', write);
      };
      write();
    });
    expect(status).toBe(413);
  });

  test('without a byte is refused', async () => {
    for (const body of ['', formOf(new Uint8Array())])
      expect([(await upload(body)).status, (await upload(body)).body.code]).toEqual([400, 'invalid_request']);
  });

  test('with an Idempotency-Key has one response, and the key refuses another content', async () => {
    const headers = { 'idempotency-key': 'upload-1' };
    const bytes = randomBytes(50);
    const first = await upload(bytes, { headers });
    const second = await upload(bytes, { headers });
    expect([second.status, second.headers.get('idempotent-replayed'), second.body]).toEqual([201, 'true', first.body]);
    const other = await upload(randomBytes(50), { headers });
    expect([other.status, other.body.code]).toEqual([422, 'idempotency_mismatch']);
  });

  test('may take longer than REQUEST_TIMEOUT_MS while bytes arrive', async () => {
    const pieces = Array.from({ length: 10 }, () => randomBytes(100));
    const slow = async function* () {
      for (const piece of pieces) {
        yield piece;
        await delay(300);
      }
    };
    const { status, body } = await upload(ReadableStream.from(slow()));
    expect([status, body.sha256]).toEqual([201, sha256(Buffer.concat(pieces))]);
  });

  test('that hangs is refused in time, and the connection ends', async () => {
    const { hostname, port } = new URL(millrace.url);
    for (const head of ['content-type: image/png', 'content-type: multipart/form-data; boundary=b']) {
      const socket = connect(Number(port), hostname);
      socket.write(`POST /v1/files HTTP/1.1\r\nhost: a\r\n${head}\r\ncontent-length: 1000\r\n\r\n--b\r\n`);
      const [response] = await once(socket, 'data');
      expect(String(response)).toContain('408 Request Timeout');
      await once(socket, 'close');
    }
  });

  test('whose connection breaks leaves no file, and in the end no object', async () => {
    const { hostname, port } = new URL(millrace.url);
    const before = await objects();
    const socket = connect(Number(port), hostname);
    socket.write('POST /v1/files HTTP/1.1\r\nhost: a\r\ncontent-length: 900000\r\n\r\n');
    socket.write(randomBytes(100_000));
    await vi.waitFor(async () => expect(await objects()).toBe(before + 1), { timeout: 60_000 });
    socket.destroy();
    await vi.waitFor(async () => expect(await objects()).toBe(before), { timeout: 60_000 });
    const { rows } = await db.query('SELECT count(*)::int AS n FROM files WHERE bytes = 100000');
    expect(rows[0].n).toBe(0);
  });

  test('beyond FILES_PER_TENANT is refused, also when uploads end at once', async () => {
    const { rows } = await db.query('SELECT sum(bytes)::int AS used FROM files');
    const size = 1_900_000;
    const room = Math.floor((9_000_000 - rows[0].used) / size);
    const responses = await Promise.all(Array.from({ length: room + 2 }, () => upload(randomBytes(size))));
    const codes = responses.map(({ status, body }) => body.code ?? status).sort();
    expect(codes).toEqual([...Array.from({ length: room }, () => 201), 'files_full', 'files_full']);
    for (const { body } of responses) if (body.id) await millrace.request(`/v1/files/${body.id}`, { method: 'DELETE' });
  });
});

test('a file expires, and a worker deletes its object', async () => {
  const { body } = await upload(randomBytes(77), { query: '?expires_in=1' });
  const { rows } = await db.query('SELECT object FROM files WHERE bytes = 77');
  await vi.waitFor(async () => expect((await millrace.request(`/v1/files/${body.id}`)).status).toBe(404), {
    timeout: 60_000,
  });
  // Readers of the file have ten minutes; the test is in a hurry.
  await vi.waitFor(
    async () => {
      await db.query('UPDATE file_objects SET delete_after = 0 WHERE object = $1', [rows[0].object]);
      expect((await readdir(folder, { recursive: true })).includes(rows[0].object)).toBe(false);
    },
    { timeout: 60_000 },
  );
});

describe('with tenants', () => {
  let locked: RunningApi;
  const keys: string[] = [];
  beforeAll(async () => {
    for (const tenant of ['acme', 'umbrella'])
      keys.push((await createApiKey(db, { tenant, name: '', expiresAt: null })).key);
    locked = await startApi(loadConfig({ ...millrace.env, API_KEYS_REQUIRED: 'true' }), pino({ level: 'silent' }));
  });
  afterAll(() => locked?.close(5_000));

  test('equal content has a different id in each tenant, and no tenant sees the file of another tenant', async () => {
    const call = (who: number, where: string, init: RequestInit = {}) =>
      fetch(`${locked.url}${where}`, { ...init, headers: { authorization: `Bearer ${keys[who]}` } });
    const bytes = randomBytes(64);
    const [a, b] = await Promise.all(
      [0, 1].map(async (who) => jsonOf(await call(who, '/v1/files', { method: 'POST', body: bytes }))),
    );
    expect(a.id).not.toBe(b.id);
    for (const method of ['GET', 'DELETE']) expect((await call(1, `/v1/files/${a.id}`, { method })).status).toBe(404);
    expect((await call(1, `/v1/files/${a.id}/content`)).status).toBe(404);
    expect((await jsonOf(await call(1, '/v1/files'))).data.map(({ id }: { id: string }) => id)).toEqual([b.id]);
    expect((await fetch(`${locked.url}/v1/files`, { method: 'POST', body: bytes })).status).toBe(401);
  });
});

test('without FILES_URL every route says so', async () => {
  const { FILES_URL: _, ...env } = millrace.env;
  const api = await startApi(loadConfig(env), pino({ level: 'silent' }));
  for (const [method, where] of [
    ['POST', ''],
    ['GET', ''],
    ['GET', '/file_00000000000000000000000000000000'],
    ['GET', '/file_00000000000000000000000000000000/content'],
    ['DELETE', '/file_00000000000000000000000000000000'],
  ] as const) {
    const response = await fetch(`${api.url}/v1/files${where}`, {
      method,
      ...(method === 'POST' ? { body: 'x' } : {}),
    });
    expect([response.status, (await jsonOf(response)).code]).toEqual([404, 'files_not_configured']);
  }
  await api.close(5_000);
});
