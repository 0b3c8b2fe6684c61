/** Idempotency keys of the requests that create no prediction. */
import { randomUUID } from 'node:crypto';
import { createPool, type Pool } from '@millrace/shared/postgres/db';
import { loadConfig } from '@millrace/shared/process/config';
import { createApiKey } from '@millrace/shared/tenants/api-keys';
import { createIdempotentRequests } from '@millrace/shared/tenants/idempotent-requests';
import pino from 'pino';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startApi } from '../../apps/api/src/server.ts';
import { routesOf } from '../support/routes.ts';
import { holdWorker } from '../support/slow-work.ts';
import { useSmallModels } from '../support/small-models.ts';

const millrace = useSmallModels(['slow', 'echo'], { WORKER_CONCURRENCY: '1' });
const REPLAYED = 'idempotent-replayed';
let db: Pool;

beforeAll(() => {
  const { databaseUrl } = millrace.config;
  db = createPool({ databaseUrl, max: 2, statementTimeoutMs: 10_000, applicationName: 'idempotent-posts-test' });
});
afterAll(() => db.end());

const post = (path: string, body: unknown, key: string) =>
  millrace.request(path, { method: 'POST', body: body ?? {}, headers: { 'idempotency-key': key } });
const newEndpoint = (more: object = {}) => ({ url: 'https://hooks.example.com/a', ...more });
const endpointsOf = async () => (await millrace.request('/v1/webhook-endpoints?limit=100')).body.data.length as number;

describe('a repeated request with a key', () => {
  test('registers one endpoint, and shows its secret again', async () => {
    const key = randomUUID();
    const before = await endpointsOf();
    const first = await post('/v1/webhook-endpoints', newEndpoint(), key);
    expect([first.status, first.headers.get(REPLAYED)]).toEqual([201, null]);
    const again = await post('/v1/webhook-endpoints', newEndpoint(), `"${key}"`);
    expect([again.status, again.text, again.headers.get(REPLAYED)]).toEqual([201, first.text, 'true']);
    for (const name of ['location', 'content-type']) expect(again.headers.get(name)).toBe(first.headers.get(name));
    expect(again.headers.get('request-id')).not.toBe(first.headers.get('request-id'));
    expect(await endpointsOf()).toBe(before + 1);
    expect((await millrace.request(`/v1/webhook-endpoints/${first.body.id}`)).status).toBe(200);
  });

  test('rotates a secret once', async () => {
    const { body: endpoint } = await millrace.request('/v1/webhook-endpoints', { body: newEndpoint() });
    for (const path of [`/v1/webhook-endpoints/${endpoint.id}/secret/rotate`, '/v1/webhook-secret/rotate']) {
      const key = randomUUID();
      const first = await post(path, { overlap_s: 60 }, key);
      const again = await post(path, { overlap_s: 60 }, key);
      expect([again.status, again.body.secret, again.headers.get(REPLAYED)]).toEqual([200, first.body.secret, 'true']);
    }
  });

  test('sends one test event, and delivers again once', async () => {
    const { body: endpoint } = await millrace.request('/v1/webhook-endpoints', { body: newEndpoint() });
    const key = randomUUID();
    const tests = [1, 2, 3].map(() => post(`/v1/webhook-endpoints/${endpoint.id}/test`, {}, key));
    const made = (await Promise.all(tests)).filter(({ status }) => status === 202);
    expect(made.length).toBeGreaterThan(0);
    const again = await post(`/v1/webhook-endpoints/${endpoint.id}/test`, {}, key);
    expect([again.status, again.headers.get(REPLAYED)]).toEqual([202, 'true']);
    const listed = await millrace.request(`/v1/webhook-deliveries?endpoint_id=${endpoint.id}`);
    expect(listed.body.data.map(({ id }: { id: string }) => id)).toEqual([again.body.id]);
    const path = `/v1/webhook-deliveries/${again.body.id}/redeliver`;
    const other = randomUUID();
    const due = await post(path, {}, other);
    expect((await post(path, {}, other)).text).toBe(due.text);
  });

  test('cancels and retries a prediction once', async () => {
    const held = await holdWorker(millrace);
    const { body } = await millrace.predict('slow', { input: { x: [5] } });
    const [cancel, retry] = [randomUUID(), randomUUID()];
    const canceled = await post(`/v1/predictions/${body.id}/cancel`, {}, cancel);
    const retried = await post(`/v1/predictions/${body.id}/retry`, {}, retry);
    expect([canceled.body.status, retried.status]).toEqual(['canceled', 202]);
    const again = await post(`/v1/predictions/${body.id}/retry`, {}, retry);
    expect([again.status, again.text, again.headers.get(REPLAYED)]).toEqual([202, retried.text, 'true']);
    for (const name of ['location', 'millrace-prediction-status'])
      expect(again.headers.get(name)).toBe(retried.headers.get(name));
    // The first cancel ended an earlier opening: its repetition does not cancel the retry.
    expect((await post(`/v1/predictions/${body.id}/cancel`, {}, cancel)).headers.get(REPLAYED)).toBe('true');
    expect((await millrace.request(`/v1/predictions/${body.id}`)).body.status).toBe('queued');
    await held.release();
  });

  test('is marked for predictions too', async () => {
    const key = { 'idempotency-key': randomUUID() };
    const request = { input: { x: [3, 1_415] }, metadata: { order: 'A-17' } };
    const first = await millrace.predict('echo', request, { ...key, prefer: 'wait=30' });
    const again = await millrace.predict('echo', request, { ...key, prefer: 'wait=30' });
    expect([first.headers.get(REPLAYED), again.headers.get(REPLAYED)]).toEqual([null, 'true']);
    expect(again.body.id).toBe(first.body.id);
  });
});

describe('a key', () => {
  test('belongs to one request: its path and its body', async () => {
    const key = randomUUID();
    await post('/v1/webhook-endpoints', newEndpoint(), key);
    for (const [path, body] of [
      ['/v1/webhook-endpoints', newEndpoint({ description: 'another' })],
      ['/v1/webhook-secret/rotate', {}],
    ] as const) {
      const other = await post(path, body, key);
      expect([other.status, other.body.code]).toEqual([422, 'idempotency_mismatch']);
    }
    // Another spelling of the same path and the same JSON is the same request.
    const same = await fetch(`${millrace.url}/v1/webhook%2Dendpoints`, {
      method: 'POST',
      body: ' {"url" : "https://hooks.example.com/a"}',
      headers: { 'content-type': 'application/json', 'idempotency-key': key },
    });
    expect([same.status, same.headers.get(REPLAYED)]).toEqual([201, 'true']);
  });

  test('of a refused request is free', async () => {
    const key = randomUUID();
    const refused = await post('/v1/webhook-endpoints', newEndpoint({ url: 'https://127.0.0.1/' }), key);
    expect(refused.body.code).toBe('webhook_refused');
    const made = await post('/v1/webhook-endpoints', newEndpoint(), key);
    expect([made.status, made.headers.get(REPLAYED)]).toEqual([201, null]);
  });

  test('that is not valid is refused', async () => {
    for (const key of ['', 'k'.repeat(256)]) {
      const refused = await post('/v1/webhook-secret/rotate', {}, key);
      expect([refused.status, refused.body.code]).toEqual([400, 'invalid_header']);
    }
  });

  test('of another tenant is another key', async () => {
    const tenants = ['acme', 'umbrella'];
    const keys = await Promise.all(tenants.map((tenant) => createApiKey(db, { tenant, name: 't', expiresAt: null })));
    const locked = await startApi(
      loadConfig({ ...millrace.env, API_KEYS_REQUIRED: 'true' }),
      pino({ level: 'silent' }),
    );
    const idempotencyKey = randomUUID();
    const rotated = await Promise.all(
      keys.map(async ({ key }) => {
        const headers = { authorization: `Bearer ${key}`, 'idempotency-key': idempotencyKey };
        const response = await fetch(`${locked.url}/v1/webhook-secret/rotate`, { method: 'POST', headers });
        return ((await response.json()) as { secret: string }).secret;
      }),
    );
    const anonymous = await fetch(`${locked.url}/v1/webhook-secret/rotate`, {
      method: 'POST',
      headers: { 'idempotency-key': idempotencyKey },
    });
    await locked.close(5_000);
    expect(new Set(rotated).size).toBe(2);
    expect(anonymous.status).toBe(401);
  });
});

describe('after the death of a process', () => {
  const claimOf = async (path: string, body: unknown) => {
    const key = randomUUID();
    const held = await post(path, body, key);
    expect(held.status).toBeLessThan(300);
    // The state of a process that died after the effect and before it stored the response.
    await db.query('UPDATE idempotent_requests SET status = NULL, headers = NULL, body = NULL WHERE body = $1', [
      held.text,
    ]);
    return { key, held };
  };

  test('a repeated request waits for the end of the claim, and then creates nothing twice', async () => {
    const before = await endpointsOf();
    const { key, held } = await claimOf('/v1/webhook-endpoints', newEndpoint({ description: 'one' }));
    const early = await post('/v1/webhook-endpoints', newEndpoint({ description: 'one' }), key);
    expect([early.status, early.body.code]).toEqual([409, 'idempotency_in_progress']);
    expect(Number(early.headers.get('retry-after'))).toBeGreaterThan(0);
    await db.query('UPDATE idempotent_requests SET claimed_until = now() WHERE status IS NULL');
    const again = await post('/v1/webhook-endpoints', newEndpoint({ description: 'one' }), key);
    expect([again.status, again.body.id, again.body.secret]).toEqual([201, held.body.id, held.body.secret]);
    expect(await endpointsOf()).toBe(before + 1);
    expect((await post('/v1/webhook-endpoints', newEndpoint({ description: 'one' }), key)).text).toBe(again.text);
  });

  test('a repeated retry finds the opening of the first', async () => {
    const worker = await holdWorker(millrace);
    const { body } = await millrace.predict('slow', { input: { x: [6] } });
    await millrace.request(`/v1/predictions/${body.id}/cancel`, { method: 'POST' });
    const { key } = await claimOf(`/v1/predictions/${body.id}/retry`, {});
    await db.query('UPDATE idempotent_requests SET claimed_until = now() WHERE status IS NULL');
    const again = await post(`/v1/predictions/${body.id}/retry`, {}, key);
    expect([again.status, again.body.status, again.body.id]).toEqual([202, 'queued', body.id]);
    await worker.release();
  });

  test('a late response of the first does not replace the response of the second', async () => {
    const requests = createIdempotentRequests(db);
    const request = { tenant: 'default', key: randomUUID(), fingerprint: 'f' };
    const first = await requests.claim(request);
    await db.query('UPDATE idempotent_requests SET claimed_until = now() WHERE status IS NULL');
    const second = await requests.claim(request);
    expect([first.kind, second.kind]).toEqual(['mine', 'mine']);
    if (first.kind !== 'mine' || second.kind !== 'mine') return;
    expect([first.again, second.again, second.resource]).toEqual([false, true, first.resource]);
    await requests.finish(request, second.claim, { status: 200, headers: {}, body: 'second' });
    await requests.finish(request, first.claim, { status: 200, headers: {}, body: 'first' });
    expect(await requests.claim(request)).toMatchObject({ kind: 'done', response: { body: 'second' } });
  });
});

test('a key is kept for 24 hours, and old rows are deleted by later requests', async () => {
  const key = randomUUID();
  const first = await post('/v1/webhook-secret/rotate', {}, key);
  await db.query("UPDATE idempotent_requests SET created_at = now() - interval '25 hours' WHERE tenant = 'default'");
  const next = await post('/v1/webhook-secret/rotate', {}, key);
  expect(next.body.secret).not.toBe(first.body.secret);
  for (let round = 0; round < 4; round += 1) await post('/v1/webhook-secret/rotate', {}, randomUUID());
  const { rows } = await db.query("SELECT FROM idempotent_requests WHERE created_at < now() - interval '24 hours'");
  expect(rows).toEqual([]);
});

test('every POST of our API takes the key', async () => {
  const { body: document } = await millrace.request('/openapi.json');
  for (const { method, url } of routesOf(millrace.api.app)) {
    if (method !== 'POST' || !url.startsWith('/v1/')) continue;
    const operation = document.paths[url.replaceAll(/:(\w+)/g, '{$1}')].post;
    const names = operation.parameters.map(({ name }: { name: string }) => name);
    expect([url, names]).toEqual([url, expect.arrayContaining(['Idempotency-Key'])]);
    // A key that no request may have is refused before anything else happens.
    const path = url
      .replace(':model', 'echo')
      .replace(':version', '1')
      .replace(':id', '00000000-0000-7000-8000-000000000000');
    const { examples } = operation.requestBody.content['application/json'] ?? {
      examples: { file: { value: 'bytes' } },
    };
    const [{ value }] = Object.values(examples) as [{ value: unknown }];
    const body = url.endsWith('/predictions') ? { input: { x: [1, 2] } } : value;
    expect([url, (await post(path, body, 'k'.repeat(256))).body.code]).toEqual([url, 'invalid_header']);
  }
});
