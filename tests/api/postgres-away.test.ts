import pino from 'pino';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type RunningApi, startApi } from '../../apps/api/src/server.ts';
import { startStallingProxy } from '../postgres/stalling-proxy.ts';
import { useMillrace } from '../support/millrace.ts';
import { testPrefix } from '../support/test-prefix.ts';

const millrace = useMillrace({ models: ['drug-interaction'] });
let proxy: Awaited<ReturnType<typeof startStallingProxy>>;
let api: RunningApi;
beforeAll(async () => {
  const { config } = millrace;
  proxy = await startStallingProxy(config.databaseUrl);
  // The API has its own key prefix in Redis, and so an empty cache.
  const own = { ...config, databaseUrl: proxy.url, keyPrefix: testPrefix(), storeTimeoutMs: 300 };
  api = await startApi(own, pino({ level: 'silent' }));
  proxy.stall();
});
afterAll(async () => {
  proxy.resume();
  await api.close(5_000);
  await proxy.close();
});

const PREDICTIONS = '/v1/models/drug-interaction/predictions';
const INPUT = JSON.stringify({ input: { drug_a: 'Warfarin', drug_b: 'Fluconazole' } });
const UUID = '019a2b3c-4d5e-7000-8000-000000000000';

/** The process reads the registry before the process listens. */
describe('while Postgres does not respond, the API returns the models as it has read them', () => {
  test.each([
    ['GET', '/v1/models'],
    ['GET', '/v1/models/drug-interaction'],
    ['GET', '/v1/models/drug-interaction/versions/1'],
    ['GET', '/v2/models/drug-interaction'],
    ['POST', '/v2/repository/index'],
  ])('%s %s', async (method, path) => {
    const response = await fetch(api.url + path, { method });
    expect(response.status).toBe(200);
    expect(await response.text()).toContain('drug-interaction');
  });
});

describe('while Postgres does not respond and no result is cached, the API returns 503 for', () => {
  test.each([
    ['POST', PREDICTIONS],
    ['POST', '/v1/models/drug-interaction/versions/1/predictions'],
    ['PUT', '/v1/models/drug-interaction/aliases/beta', '{"version":"1"}'],
    ['DELETE', '/v1/models/drug-interaction/cache'],
    ['GET', '/v1/models/drug-interaction/entities/drug?q=war'],
    ['GET', '/v1/models/drug-interaction/entities/drug/Warfarin'],
    ['GET', '/v1/predictions'],
    ['GET', `/v1/predictions/${UUID}`],
    ['POST', `/v1/predictions/${UUID}/cancel`],
    ['POST', `/v1/predictions/${UUID}/retry`],
    ['GET', `/v1/predictions/${UUID}/events`],
    ['GET', '/v1/webhook-endpoints'],
    ['GET', '/v1/webhook-deliveries'],
    ['POST', '/v2/models/drug-interaction/infer', '{"inputs":[]}'],
  ])('%s %s', async (method, path, body = method === 'POST' && path.endsWith('predictions') ? INPUT : undefined) => {
    const headers = body === undefined ? {} : { 'content-type': 'application/json' };
    const response = await fetch(api.url + path, { method, headers, ...(body === undefined ? {} : { body }) });
    expect([response.status, response.headers.get('retry-after')]).toEqual([503, '1']);
    expect(await response.text()).toContain('Postgres does not respond; nothing was accepted.');
  });
});

test('refusals are counted with their duration', async () => {
  const text = await (await fetch(`${api.url}/metrics`)).text();
  const value = (name: string) =>
    Number(
      new RegExp(
        `^millrace_http_request_seconds_${name}\\{method="POST",route="/v1/models/:model/predictions",status="503"\\} (\\S+)$`,
        'm',
      ).exec(text)?.[1],
    );
  expect(value('count')).toBeGreaterThan(0);
  // Each refusal has waited for Postgres for as long as STORE_TIMEOUT_MS allows.
  expect(value('sum') / value('count')).toBeGreaterThan(0.25);
});
