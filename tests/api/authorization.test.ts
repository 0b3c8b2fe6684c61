/** Requests without a key, on every route of the router and in every spelling of its path. */
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

/** The routes that answer a caller without a key. A new one must be added here and in docs/operations.md. */
const PUBLIC = [
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

// Many: while refusals are many, the API takes its time for each.
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

/** The status of a request whose target goes to the socket as it is given. */
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
  const answers = await Promise.all(targets.map(([method, target]) => statusOf(method, target)));
  return targets.map(([method, target], at) => `${answers[at]} ${method} ${target}`);
}

const filled = (url: string) => url.replaceAll(/:(\w+)/g, (_, name: string) => PARAMETERS[name] ?? name);
const isPublic = (method: string, url: string) => PUBLIC.includes(`${method.replace('HEAD', 'GET')} ${url}`);
const refused = (line: string) => /^40[14] /.test(line);

describe('without a key', () => {
  test('a route answers only if it is declared public', async () => {
    const routes = routesOf(locked.app);
    expect(routes.length).toBeGreaterThan(50);
    const answers = await statuses(routes.map(({ method, url }) => [method, filled(url)]));
    const answered = routes.filter((_, at) => !answers[at]?.startsWith('401 '));
    expect(answered.map(({ method, url }) => `${method} ${url}`).sort()).toEqual(
      [...PUBLIC, ...PUBLIC.map((route) => route.replace('GET', 'HEAD'))].sort(),
    );
    const page = await readFile(new URL('../../docs/operations.md', import.meta.url), 'utf8');
    for (const route of PUBLIC) expect(page).toContain(`\`${route.slice('GET '.length)}\``);
  });

  test('no spelling of a private path is answered with anything but 401 or 404', { timeout: 300_000 }, async () => {
    const routes = routesOf(locked.app).filter(({ method, url }) => !isPublic(method, url));
    const targets = routes.flatMap(({ method, url }) =>
      spellingsOf(filled(url)).map((target) => [method, target] as const),
    );
    const answers = await statuses(targets);
    expect(answers.filter((line) => !refused(line))).toEqual([]);
  });

  test('no method of HTTP on a private path is answered with anything but 401 or 404', {
    timeout: 300_000,
  }, async () => {
    // Node ends a CONNECT without an answer: nothing listens for it.
    const methods = METHODS.filter((method) => method !== 'CONNECT');
    const paths = new Set(routesOf(locked.app).map(({ url }) => filled(url)));
    for (const route of PUBLIC) paths.delete(route.slice('GET '.length));
    const all = [...paths, '/', '/nothing', '/v1', '/v1/nothing', '/v2/nothing'];
    const answers = await statuses(all.flatMap((path) => methods.map((method) => [method, path] as const)));
    expect(answers.filter((line) => !refused(line))).toEqual([]);
  });

  test.each([
    'GET http://x/v1/models HTTP/1.1',
    'GET /%761/models HTTP/1.1',
    'GET /v%31/models HTTP/1.1',
    'POST http://x/v1/webhook-secret/rotate HTTP/1.1',
  ])('the bytes `%s` on a socket get a 401', async (line) => {
    const { hostname, port } = new URL(locked.url);
    const socket = createConnection(Number(port), hostname);
    // Not ended here: the API takes the end for a client that has gone.
    socket.write(`${line}\r\nhost: x\r\nconnection: close\r\n\r\n`);
    const answer = (await socket.toArray()).join('');
    expect(answer).toMatch(/^HTTP\/1.1 401 /);
  });

  test('nothing was done for a tenant without a name, and Postgres refuses one', async () => {
    const { rows } = await db.query('SELECT tenant FROM tenants ORDER BY tenant');
    expect(rows).toEqual([{ tenant: 'acme' }, { tenant: 'default' }]);
    await expect(db.query("INSERT INTO tenants (tenant) VALUES ('')")).rejects.toThrow('tenants_named');
  });
});

test('with a key, a path means the same in each spelling that the router takes', async () => {
  const authorization = `Bearer ${key}`;
  for (const target of ['/v1/models', '/%761/models', '/v%31/models', 'http://x/v1/models'])
    expect(await statusOf('GET', target, { authorization }), target).toBe(200);
  // `Allow` too is the router's word.
  expect(await statusOf('DELETE', '/%761/models', { authorization })).toBe(405);
  expect(await statusOf('DELETE', 'http://x/v1/models?x=1', { authorization })).toBe(405);
});
