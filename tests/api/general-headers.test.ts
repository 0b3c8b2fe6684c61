import { expect, test } from 'vitest';
import { useMillrace } from '../support/millrace.ts';
import { routesOf } from '../support/routes.ts';

const MODEL = 'drug-interaction-similarity';
const VERSION = '2026-12-01';
const millrace = useMillrace({ models: [MODEL] });
const body = { input: { similarities: [[0.1, 0.2, 0.3, 0.4, 0.5]] } };
const predict = (headers: Record<string, string>) => millrace.predict(MODEL, body, { prefer: 'wait=10', ...headers });

test('every route sends a Request-Id and the version of the API', async () => {
  const missing: string[] = [];
  for (const { method, url } of routesOf(millrace.api.app)) {
    const response = await fetch(`${millrace.url}${url}`, { method });
    const { headers } = response;
    await response.arrayBuffer();
    if (!headers.get('request-id') || headers.get('millrace-version') !== VERSION) missing.push(`${method} ${url}`);
  }
  expect(missing).toEqual([]);
});

test('computed results, cached results and event streams have the Request-Id of the client', async () => {
  const computed = await predict({ 'request-id': 'my-id-1' });
  // The worker writes the result to the cache beside the first response.
  const isHit = async () => (await predict({})).headers.get('cache-status');
  await expect.poll(isHit).toContain('hit');
  const cached = await predict({ 'request-id': 'my-id-2' });
  expect(cached.headers.get('cache-status')).toContain('hit');
  const stream = await fetch(`${millrace.url}/v1/predictions/${computed.body.id}/events`, {
    headers: { 'request-id': 'my-id-3' },
  });
  await stream.text();
  expect([computed, cached, stream].map(({ headers }) => headers.get('request-id'))).toEqual([
    'my-id-1',
    'my-id-2',
    'my-id-3',
  ]);
});

test('a problem has the Request-Id of the client as request_id', async () => {
  const { headers, body: problem } = await millrace.request('/v1/nothing', { headers: { 'request-id': 'my-id-4' } });
  expect([headers.get('request-id'), problem.request_id]).toEqual(['my-id-4', 'my-id-4']);
});

test('a Request-Id with spaces or of 129 characters is replaced', async () => {
  for (const id of ['a b', 'x'.repeat(129), 'é']) {
    const { headers } = await millrace.request('/healthz', { headers: { 'request-id': id } });
    expect(headers.get('request-id')).toMatch(/^[a-z0-9]+-[a-z0-9]+$/);
  }
});

test('a request can name the version of the API, and an unknown version is refused', async () => {
  const known = await predict({ 'millrace-version': VERSION });
  expect(known.status).toBe(200);
  const unknown = await predict({ 'millrace-version': '2031-01-01' });
  expect([unknown.status, unknown.body.code]).toEqual([400, 'invalid_header']);
  expect(unknown.body.errors[0]).toMatchObject({
    in: 'header',
    name: 'Millrace-Version',
    expected: VERSION,
    got: '2031-01-01',
  });
});

test('GET /v1 names the limits and the features of the server', async () => {
  const { status, body: service } = await millrace.request('/v1');
  expect([status, service.api_version]).toEqual([200, VERSION]);
  expect(service.limits).toMatchObject({ wait_s: 60, list: 100, rows: expect.any(Number) });
  expect(service.features).toContain('cancel_by_key');
});

test('waits and limits beyond the largest value are cut', async () => {
  const { body: created } = await predict({});
  const waited = await millrace.request(`/v1/predictions/${created.id}?wait=61`);
  expect([waited.status, waited.headers.get('preference-applied')]).toEqual([200, 'wait=60']);
  for (const path of ['/v1/predictions', '/v1/webhook-endpoints', '/v1/webhook-deliveries', '/v1/events']) {
    expect((await millrace.request(`${path}?limit=100000`)).status).toBe(200);
    expect((await millrace.request(`${path}?limit=0`)).status).toBe(400);
  }
});
