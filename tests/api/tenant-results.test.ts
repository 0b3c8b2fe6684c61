/** On a model whose results are not shared, no tenant gets a result that was computed for another tenant. */

import { createPool } from '@millrace/shared/postgres/db';
import { loadConfig } from '@millrace/shared/process/config';
import { createApiKey } from '@millrace/shared/tenants/api-keys';
import pino from 'pino';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type RunningApi, startApi } from '../../apps/api/src/server.ts';
import { useSmallModels } from '../support/small-models.ts';

const millrace = useSmallModels(['echo', 'rows', 'public']);
/** A second API process on the same stores that requires keys. */
let locked: RunningApi;

beforeAll(async () => {
  locked = await startApi(loadConfig({ ...millrace.env, API_KEYS_REQUIRED: 'true' }), pino({ level: 'silent' }));
});
afterAll(async () => {
  await locked?.close(5_000);
});

async function keyOf(tenant: string): Promise<string> {
  const db = createPool({
    databaseUrl: millrace.config.databaseUrl,
    max: 1,
    statementTimeoutMs: 10_000,
    applicationName: 'tenant-results-test',
  });
  try {
    return (await createApiKey(db, { tenant, name: 'test', expiresAt: null })).key;
  } finally {
    await db.end();
  }
}

/** A stored result, or the result of an equal request in progress. */
const SHARED = /hit|collapsed/;

const predict = (model: string, body: unknown, headers: Record<string, string>) =>
  fetch(`${locked.url}/v1/models/${model}/predictions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', prefer: 'wait=30', ...headers },
    body: JSON.stringify(body),
  });

async function cacheStatus(model: string, body: unknown, key: string): Promise<string | null> {
  const reply = await predict(model, body, { authorization: `Bearer ${key}` });
  expect(await reply.json()).toMatchObject({ status: 'succeeded' });
  return reply.headers.get('cache-status');
}

test.each([
  ['echo', { input: { x: [7, 8] } }],
  ['rows', { input: { x: [[7, 8]] } }],
  ['rows', { inputs: [{ x: [[1, 2]] }, { x: [[3, 4]] }] }],
])('a result of %s for %j serves only the tenant that requested it', async (model, body) => {
  const [acme, umbrella] = [await keyOf('acme'), await keyOf('umbrella')];
  expect(await cacheStatus(model, body, acme)).not.toMatch(SHARED);
  expect(await cacheStatus(model, body, acme)).toMatch(SHARED);
  expect(await cacheStatus(model, body, umbrella)).not.toMatch(SHARED);
  expect(await cacheStatus(model, body, umbrella)).toMatch(SHARED);
});

test('a result of a public model serves every tenant', async () => {
  const body = { input: { x: [7, 8] } };
  expect(await cacheStatus('public', body, await keyOf('acme'))).not.toMatch(SHARED);
  // Tenants share no flight, and the worker writes the result to the cache beside the response.
  const look = { authorization: `Bearer ${await keyOf('umbrella')}`, 'cache-control': 'only-if-cached' };
  await expect.poll(async () => (await predict('public', body, look)).status).toBe(200);
  expect(await cacheStatus('public', body, await keyOf('initech'))).toMatch(/hit/);
});
