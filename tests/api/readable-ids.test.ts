/** A tenant can read each id that any response gave to the tenant, and no id of another tenant. */
import { randomUUID } from 'node:crypto';
import { createPool } from '@millrace/shared/postgres/db';
import { loadConfig } from '@millrace/shared/process/config';
import { createApiKey } from '@millrace/shared/tenants/api-keys';
import pino from 'pino';
import { expect, test } from 'vitest';
import { startApi } from '../../apps/api/src/server.ts';
import { useSmallModels } from '../support/small-models.ts';

const millrace = useSmallModels(['echo', 'public']);
const TENANTS = ['acme', 'umbrella'];
const PATHS = { pred: '/v1/predictions/', we: '/v1/webhook-endpoints/', whd: '/v1/webhook-deliveries/' } as const;
const ID = /\b(pred|we|whd)_[0-9a-f]{32}\b/g;

/** Calls the API as a tenant, and collects the ids of all responses with their headers. */
function callerOf(url: string, key: string) {
  const ids = new Set<string>();
  return {
    ids,
    async call(path: string, body?: unknown, more: Record<string, string> = {}) {
      const headers = {
        authorization: `Bearer ${key}`,
        ...(body ? { 'content-type': 'application/json' } : {}),
        ...more,
      };
      const init = body === undefined ? {} : { method: 'POST', body: JSON.stringify(body) };
      const response = await fetch(url + path, { headers, ...init });
      const text = await response.text();
      for (const [id] of (text + [...response.headers.values()].join(' ')).matchAll(ID)) ids.add(id);
      return { status: response.status, text, body: text.startsWith('{') ? JSON.parse(text) : {} };
    },
  };
}

type Caller = ReturnType<typeof callerOf>;

/** Requests in each state of the cache, actions, and every list. */
async function useEverything({ call }: Caller): Promise<void> {
  const { body: endpoint } = await call('/v1/webhook-endpoints', { url: 'https://hooks.example.com/a' });
  for (const model of ['echo', 'public']) {
    const path = `/v1/models/${model}/predictions`;
    const input = { x: [7, 100 + model.length] };
    const bodies = [
      { input },
      { inputs: [input, input] },
      { input, metadata: { a: 'b' } },
      { input, priority: 'high' },
    ];
    const headers = [{ prefer: 'wait=30' }, {}, { 'cache-control': 'no-cache' }, { 'idempotency-key': randomUUID() }];
    for (let round = 0; round < 2; round += 1)
      for (const body of bodies) for (const more of headers) await call(path, body, more as Record<string, string>);
  }
  const { body: test } = await call(`${PATHS.we}${endpoint.id}/test`, {});
  await call(`${PATHS.whd}${test.id}/redeliver`, {}, { 'idempotency-key': randomUUID() });
  for (const list of ['predictions', 'webhook-endpoints', 'webhook-deliveries', 'events'])
    expect((await call(`/v1/${list}?limit=100`)).status).toBe(200);
}

test('over all routes and states of the cache, on a private and on a public model', async () => {
  const { databaseUrl } = millrace.config;
  const db = createPool({ databaseUrl, max: 2, statementTimeoutMs: 10_000, applicationName: 'readable-ids-test' });
  const keys = await Promise.all(TENANTS.map((tenant) => createApiKey(db, { tenant, name: 'test', expiresAt: null })));
  const locked = await startApi(loadConfig({ ...millrace.env, API_KEYS_REQUIRED: 'true' }), pino({ level: 'silent' }));
  try {
    const callers = keys.map(({ key }) => callerOf(locked.url, key));
    for (const caller of callers) await useEverything(caller);
    const given = callers.map(({ ids }) => [...ids]);
    for (const [at, caller] of callers.entries()) {
      const own = given[at] ?? [];
      for (const kind of ['pred', 'we', 'whd']) expect(own.some((id) => id.startsWith(kind))).toBe(true);
      for (const id of own) {
        const path = PATHS[id.split('_')[0] as keyof typeof PATHS];
        expect([id, (await caller.call(path + id)).status]).toEqual([id, 200]);
      }
      for (const id of given[1 - at] ?? []) {
        expect(own).not.toContain(id);
        const path = PATHS[id.split('_')[0] as keyof typeof PATHS];
        expect([id, (await caller.call(path + id)).status]).toEqual([id, 404]);
      }
    }
  } finally {
    await locked.close(5_000);
    await db.end();
  }
}, 120_000);
