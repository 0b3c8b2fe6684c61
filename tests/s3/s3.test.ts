/** Files in a real S3 server, through processes as they run in production: large uploads, failures and remains. */
import { createHash, randomBytes } from 'node:crypto';
import { request as httpRequest } from 'node:http';
import { createPool } from '@millrace/shared/postgres/db';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { sweepFiles } from '../../apps/worker/src/recorder/file-sweep.ts';
import { createS3Store } from '../../packages/shared/src/files/s3-store.ts';
import { type Millrace, startMillrace } from '../support/millrace.ts';
import { hasS3Server, type S3Server, startS3Server } from './s3-server.ts';

const MIB = 1_048_576;

// biome-ignore lint/suspicious/noExplicitAny: the tests check the members of a body.
const jsonOf = (response: Response): Promise<any> => response.json();

const isInstalled = await hasS3Server();

describe.skipIf(!isInstalled)('files in S3 (needs Go to compile versitygw)', () => {
  let s3: S3Server;
  let millrace: Millrace;

  beforeAll(async () => {
    s3 = await startS3Server();
    millrace = await startMillrace({ models: [], env: { ...s3.env, RECONCILE_MS: '100' } });
  });
  afterAll(async () => {
    await millrace?.close();
    await s3?.close();
  });

  const sizes = [1, 65_536, 8 * MIB - 1, 8 * MIB, 8 * MIB + 1, 24 * MIB + 7];
  test.each(sizes)('an upload of %i bytes is stored and read', async (size) => {
    const bytes = randomBytes(size);
    const response = await fetch(`${millrace.url}/v1/files`, { method: 'POST', body: bytes });
    const file = await jsonOf(response);
    expect([response.status, file.bytes]).toEqual([201, size]);
    const content = await fetch(`${millrace.url}${file.urls.content}`);
    const hash = createHash('sha256').update(Buffer.from(await content.arrayBuffer()));
    expect(hash.digest('hex')).toBe(createHash('sha256').update(bytes).digest('hex'));
    const headers = { range: `bytes=${Math.floor(size / 2)}-` };
    const part = await fetch(`${millrace.url}${file.urls.content}`, { headers });
    expect(part.status).toBe(206);
    expect(Buffer.from(await part.arrayBuffer()).equals(bytes.subarray(Math.floor(size / 2)))).toBe(true);
  });

  test('a client that leaves in the middle leaves no object and no part of an upload', async () => {
    const before = await s3.objects();
    const client = httpRequest(`${millrace.url}/v1/files`, { method: 'POST' });
    client.on('error', () => {});
    client.write(randomBytes(20 * MIB));
    // Two parts are stored before the client leaves.
    await vi.waitFor(async () => expect((await s3.objects()).length).toBeGreaterThan(before.length + 1), {
      timeout: 60_000,
    });
    client.destroy();
    await vi.waitFor(async () => expect(await s3.objects()).toEqual(before), { timeout: 60_000 });
  });

  test('the sweep deletes the parts of an upload whose process was killed', async () => {
    const settings = {
      bucket: 'millrace-files',
      prefix: 'some/prefix/',
      endpoint: s3.env.FILES_S3_ENDPOINT ?? '',
      region: 'us-east-1',
      accessKeyId: s3.env.FILES_S3_ACCESS_KEY_ID ?? '',
      secretAccessKey: s3.env.FILES_S3_SECRET_ACCESS_KEY ?? '',
    };
    const before = await s3.objects();
    const store = createS3Store(settings);
    // A killed process never ends its upload: the source waits forever.
    const killed = async function* () {
      yield randomBytes(17 * MIB);
      await new Promise(() => {});
    };
    void store.write('aa/killed', killed());
    await vi.waitFor(async () => expect((await s3.objects()).length).toBeGreaterThan(before.length + 1), {
      timeout: 60_000,
    });
    const { databaseUrl } = millrace.config;
    const db = createPool({ databaseUrl, max: 2, statementTimeoutMs: 10_000, applicationName: 's3-test' });
    await db.query("INSERT INTO file_objects (object, unfinished, delete_after) VALUES ('aa/killed', true, 1)");
    const fail = (error: unknown) => {
      throw error;
    };
    await sweepFiles({ db, store, nowMs: Date.now(), onError: fail });
    await vi.waitFor(async () => expect(await s3.objects()).toEqual(before), { timeout: 60_000 });
    await db.end();
  });

  test('a deleted file loses its object', async () => {
    const response = await fetch(`${millrace.url}/v1/files`, { method: 'POST', body: randomBytes(100) });
    const file = await jsonOf(response);
    await fetch(`${millrace.url}/v1/files/${file.id}`, { method: 'DELETE' });
    const { databaseUrl } = millrace.config;
    const db = createPool({ databaseUrl, max: 2, statementTimeoutMs: 10_000, applicationName: 's3-test' });
    const before = (await s3.objects()).length;
    await db.query('UPDATE file_objects SET delete_after = 0');
    await vi.waitFor(async () => expect((await s3.objects()).length).toBe(before - 1), { timeout: 60_000 });
    await db.end();
  });

  test('while the store is away uploads and downloads are 503, and afterwards the same upload succeeds', async () => {
    const bytes = randomBytes(9 * MIB);
    await s3.stop();
    const refused = await fetch(`${millrace.url}/v1/files`, { method: 'POST', body: bytes });
    const problem = await jsonOf(refused);
    expect([refused.status, problem.code, problem.retryable]).toEqual([503, 'store_unavailable', true]);
    expect(JSON.stringify(problem)).not.toContain(s3.env.FILES_S3_SECRET_ACCESS_KEY);
    await s3.start();
    const response = await fetch(`${millrace.url}/v1/files`, { method: 'POST', body: bytes });
    expect(response.status).toBe(201);
  });
});
