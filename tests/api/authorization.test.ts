/** Sends requests without a key to every route of the router, in every spelling of its path. */
import { readFile } from 'node:fs/promises';
import { Agent, METHODS, request } from 'node:http';
import { createConnection } from 'node:net';
import { createPool, type Pool } from '@millrace/shared/postgres/db';
import { loadConfig } from '@millrace/shared/process/config';
import { createApiKey } from '@millrace/shared/tenants/api-keys';
import pino from 'pino';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type RunningApi, startApi } from '../../apps/api/src/server.ts';
import { useMillrace } from '../support/millrace.ts';
import { routesOf } from '../support/routes.ts';
import { spellingsOf } from '../support/spellings.ts';

const MODEL = 'drug-interaction-similarity';
const millrace = useMillrace({ models: [MODEL] });

/** The routes that need no key. Add a new public route here and to docs/operations.md. */
const PUBLIC = [
  'GET /',
  'GET /console',
  'GET /console/*',
  'GET /console/session',
  'POST /console/session',
  'DELETE /console/session',
  'GET /docs',
  'GET /healthz',
  'GET /metrics',
  'GET /openapi.json',
  'GET /readyz',
  'GET /v2/health/live',
  'GET /v2/health/ready',
];
const PARAMETERS: Readonly<Record<string, string>> = {
  model: MODEL,
  version: '1',
  alias: 'beta',
  entity: 'drug',
  key: 'warfarin',
  id: '01900000-0000-7000-8000-000000000000',
};

// Many sockets: the API delays each refusal while refusals are many.
const agent = new Agent({ keepAlive: true, maxSockets: 500 });
let db: Pool;
let locked: RunningApi;
let key: string;

beforeAll(async () => {
  const { databaseUrl } = millrace.config;
  db = createPool({ databaseUrl, max: 1, statementTimeoutMs: 10_000, applicationName: 'authorization-test' });
  key = (await createApiKey(db, { tenant: 'acme', name: '', expiresAt: null })).key;
  locked = await startApi(loadConfig({ ...millrace.env, API_KEYS_REQUIRED: 'true' }), pino({ level: 'silent' }));
});
afterAll(async () => {
  agent.destroy();
  await locked?.close(5_000);
  await db?.end();
});

/** Returns the status of a request whose target is sent to the socket unchanged. */
function statusOf(method: string, target: string, headers: Record<string, string> = {}): Promise<number> {
  const { hostname, port } = new URL(locked.url);
  return new Promise((resolve, reject) => {
    const call = request({ hostname, port, method, path: target, headers, agent }, (response) => {
      response.resume();
      response.on('end', () => resolve(response.statusCode ?? 0));
      response.on('error', reject);
    });
    call.on('error', reject);
    call.end();
  });
}

async function statuses(targets: readonly (readonly [method: string, target: string])[]): Promise<string[]> {
  const responses = await Promise.all(targets.map(([method, target]) => statusOf(method, target)));
  return targets.map(([method, target], at) => `${responses[at]} ${method} ${target}`);
}

const filled = (url: string) => url.replaceAll(/:(\w+)/g, (_, name: string) => PARAMETERS[name] ?? name);
const isPublic = (method: string, url: string) => PUBLIC.includes(`${method.replace('HEAD', 'GET')} ${url}`);
const refused = (line: string) => /^40[14] /.test(line);

describe('a request without a key', () => {
  test('reaches a route only if the route is declared public', async () => {
    const routes = routesOf(locked.app);
    expect(routes.length).toBeGreaterThan(50);
    const responses = await statuses(routes.map(({ method, url }) => [method, filled(url)]));
    const reached = routes.filter((_, at) => !responses[at]?.startsWith('401 '));
    expect(reached.map(({ method, url }) => `${method} ${url}`).sort()).toEqual(
      [...new Set([...PUBLIC, ...PUBLIC.map((route) => route.replace('GET', 'HEAD'))])].sort(),
    );
    const page = await readFile(new URL('../../docs/operations.md', import.meta.url), 'utf8');
    for (const route of PUBLIC) expect(page).toContain(`\`${route.slice(route.indexOf(' ') + 1)}\``);
  });

  test('gets 401 or 404 for every spelling of a private path', { timeout: 300_000 }, async () => {
    const routes = routesOf(locked.app).filter(({ method, url }) => !isPublic(method, url));
    const targets = routes.flatMap(({ method, url }) =>
      spellingsOf(filled(url)).map((target) => [method, target] as const),
    );
    const responses = await statuses(targets);
    expect(responses.filter((line) => !refused(line))).toEqual([]);
  });

  test('gets 401 or 404 for every HTTP method on a private path', {
    timeout: 300_000,
  }, async () => {
    // Node closes the connection of a CONNECT without a response, because no listener handles CONNECT.
    const methods = METHODS.filter((method) => method !== 'CONNECT');
    const paths = new Set(routesOf(locked.app).map(({ url }) => filled(url)));
    for (const route of PUBLIC) paths.delete(route.slice('GET '.length));
    const all = [...paths, '/nothing', '/v1', '/v1/nothing', '/v2/nothing'];
    const responses = await statuses(all.flatMap((path) => methods.map((method) => [method, path] as const)));
    expect(responses.filter((line) => !refused(line))).toEqual([]);
  });

  test.each([
    'GET http://x/v1/models HTTP/1.1',
    'GET /%761/models HTTP/1.1',
    'GET /v%31/models HTTP/1.1',
    'POST http://x/v1/webhook-secret/rotate HTTP/1.1',
  ])('gets 401 when the socket sends the bytes `%s`', async (line) => {
    const { hostname, port } = new URL(locked.url);
    const socket = createConnection(Number(port), hostname);
    // The socket stays open for writing: the API treats an early end as a client that has disconnected.
    socket.write(`${line}\r\nhost: x\r\nconnection: close\r\n\r\n`);
    const response = (await socket.toArray()).join('');
    expect(response).toMatch(/^HTTP\/1.1 401 /);
  });

  test('creates no tenant without a name, and Postgres refuses such a tenant', async () => {
    const { rows } = await db.query('SELECT tenant FROM tenants ORDER BY tenant');
    expect(rows).toEqual([{ tenant: 'acme' }, { tenant: 'default' }]);
    await expect(db.query("INSERT INTO tenants (tenant) VALUES ('')")).rejects.toThrow('tenants_named');
  });
});

test('with a key, every spelling of a path that the router accepts reaches the same route', async () => {
  const authorization = `Bearer ${key}`;
  for (const target of ['/v1/models', '/%761/models', '/v%31/models', 'http://x/v1/models'])
    expect(await statusOf('GET', target, { authorization }), target).toBe(200);
  // `Allow` also comes from the router.
  expect(await statusOf('DELETE', '/%761/models', { authorization })).toBe(405);
  expect(await statusOf('DELETE', 'http://x/v1/models?x=1', { authorization })).toBe(405);
});
