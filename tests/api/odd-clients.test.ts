import { once } from 'node:events';
import http from 'node:http';
import { describe, expect, test } from 'vitest';
import { useSmallModels } from '../support/small-models.ts';

const millrace = useSmallModels(['echo']);

interface Sent {
  method?: string;
  headers?: Record<string, string>;
  /** Chunks of a body without a Content-Length. */
  chunks?: string[];
}

/** Sends exactly these headers: fetch changes them. */
async function send(path: string, { method = 'POST', headers = {}, chunks }: Sent = {}) {
  const request = http.request(millrace.url + path, { method, headers });
  if (chunks) request.setHeader('transfer-encoding', 'chunked');
  for (const chunk of chunks ?? []) request.write(chunk);
  request.end();
  const [response] = (await once(request, 'response')) as [http.IncomingMessage];
  const text = Buffer.concat(await response.toArray()).toString();
  return { status: response.statusCode, headers: response.headers, body: text === '' ? undefined : JSON.parse(text) };
}

const ACTIONS = [
  '/v1/predictions/01980000-0000-7000-8000-000000000000/cancel',
  '/v1/predictions/01980000-0000-7000-8000-000000000000/retry',
  '/v1/webhook-endpoints/01980000-0000-7000-8000-000000000000/test',
  '/v1/webhook-endpoints/01980000-0000-7000-8000-000000000000/secret/rotate',
  '/v1/webhook-deliveries/01980000-0000-7000-8000-000000000000/redeliver',
];
const TYPES = [
  'application/x-www-form-urlencoded',
  'application/octet-stream',
  'text/plain;charset=UTF-8',
  'nonsense',
  '',
];

describe('an empty body', () => {
  test.each(TYPES)('of the type "%s" is no body, for every action', async (type) => {
    for (const path of ACTIONS) {
      const { status, body } = await send(path, { headers: { 'content-type': type, 'content-length': '0' } });
      expect([path, status, body.code]).toEqual([path, 404, expect.stringMatching(/not_found$/)]);
    }
  });

  test('in chunks is no body', async () => {
    const headers = { 'content-type': 'application/x-www-form-urlencoded' };
    for (const path of ACTIONS) expect((await send(path, { headers, chunks: [] })).status).toBe(404);
  });

  test('of a route that needs a body is named as missing', async () => {
    for (const type of TYPES) {
      const headers = { 'content-type': type, 'content-length': '0' };
      const { status, body } = await send('/v1/models/echo/predictions', { headers });
      expect([status, body.errors?.[0]?.got]).toEqual([400, 'null, or no body']);
    }
  });

  test('does not excuse another body', async () => {
    const headers = { 'content-type': 'text/plain' };
    for (const path of ACTIONS) expect((await send(path, { headers, chunks: ['x'] })).status).toBe(415);
    const sized = { 'content-type': 'text/plain', 'content-length': '1' };
    const request = http.request(millrace.url + ACTIONS[0], { method: 'POST', headers: sized });
    request.end('x');
    const [response] = (await once(request, 'response')) as [http.IncomingMessage];
    expect(response.resume().statusCode).toBe(415);
  });
});

describe('a fault of the client is not reported as an outage', () => {
  test.each([
    ['GET', '/v1/predictions?model=a%00b', [400]],
    ['GET', '/v1/models/a%00b', [400, 404]],
    ['GET', '/v1/models/a%00b/versions/1', [400, 404]],
    ['POST', '/v1/predictions/a%00b/cancel', [400, 404]],
    ['GET', '/v1/entities/a%00b', [400, 404]],
    ['GET', '/v1/entities/a/b%00', [400, 404]],
    ['GET', '/v1/webhook-deliveries?endpoint=a%00b', [400]],
    ['GET', '/v1/webhook-deliveries/a%00b', [400, 404]],
    ['GET', '/v2/models/a%00b', [400, 404]],
  ] as const)('%s %s', async (method, path, statuses) => {
    const { status, body } = await send(path, { method });
    expect(statuses, JSON.stringify(body)).toContain(status);
  });

  test('a NUL in a description and in a URL of a webhook', async () => {
    for (const fields of [
      { url: 'https://receiver.example/', description: 'a\0b' },
      { url: 'https://receiver.example/\0' },
    ]) {
      const { status, body } = await millrace.request('/v1/webhook-endpoints', {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify(fields),
      });
      expect(status, JSON.stringify(body)).toBeGreaterThanOrEqual(400);
      expect(status).toBeLessThan(500);
    }
  });

  test('QUERY without a Content-Type is a method that no route has', async () => {
    for (const path of ['/v1/models', '/v1/predictions', '/v1/models/echo/predictions', ...ACTIONS]) {
      const { status, body, headers } = await send(path, { method: 'QUERY' });
      expect([path, status, body.code]).toEqual([path, 405, 'method_not_allowed']);
      expect(headers.allow).toMatch(/GET|POST/);
    }
    expect((await send('/v1/nothing', { method: 'QUERY' })).status).toBe(404);
  });

  test.each(['true', 'false', '1e1', '0x10', '+5', ' 5', '5 ', '5.0', '', 'null'])(
    'limit=%j is refused',
    async (limit) => {
      const { status, body } = await send(`/v1/predictions?limit=${encodeURIComponent(limit)}`, { method: 'GET' });
      expect([status, body.errors[0]]).toMatchObject([400, { in: 'query', name: 'limit' }]);
    },
  );

  test('Allow of an action does not list the methods of an id', async () => {
    const { status, headers } = await send('/v1/webhook-deliveries/redeliver', { method: 'PUT' });
    expect([status, headers.allow]).toEqual([405, 'POST']);
  });
});
