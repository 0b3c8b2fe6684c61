import { createHash, randomBytes } from 'node:crypto';
import {
  createApiKey,
  formOfKey,
  hashOfKey,
  listApiKeys,
  revokeApiKey,
  tenantsOfKeys,
} from '@millrace/shared/api-keys';
import { createPool, type Pool } from '@millrace/shared/db';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { useMillrace } from '../support/millrace.ts';

const MODEL = 'drug-interaction-similarity';
const millrace = useMillrace({ models: [MODEL] });
let db: Pool;
let locked: Awaited<ReturnType<typeof startLocked>>;
const keys: Record<string, string> = {};

/** A second API process on the same stores, which asks for keys. */
async function startLocked() {
  const { startApi } = await import('../../apps/api/src/server.ts');
  const { loadConfig } = await import('@millrace/shared/config');
  const { default: pino } = await import('pino');
  return startApi(loadConfig({ ...millrace.env, API_KEYS_REQUIRED: 'true' }), pino({ level: 'silent' }));
}

beforeAll(async () => {
  db = createPool({
    databaseUrl: millrace.config.databaseUrl,
    max: 2,
    statementTimeoutMs: 10_000,
    applicationName: 'tenants-test',
  });
  for (const tenant of ['acme', 'umbrella'])
    keys[tenant] = (await createApiKey(db, { tenant, name: 'test', expiresAt: null })).key;
  locked = await startLocked();
});
afterAll(async () => {
  await locked?.close(5_000);
  await db?.end();
});

const ask = (path: string, key?: string, body?: unknown) =>
  fetch(locked.url + path, {
    method: body === undefined ? 'GET' : 'POST',
    headers: {
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      ...(key === undefined ? {} : { authorization: `Bearer ${key}` }),
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });

const input = { input: { similarities: [[0.1, 0.2, 0.3, 0.4, 0.5]] } };

describe('where keys are required', () => {
  test('without one, or with a wrong one, nothing is told but how to ask', async () => {
    for (const key of [undefined, 'mrk_wrong', `mrk_${'x'.repeat(43)}`]) {
      const reply = await ask('/v1/models', key);
      expect(reply.status).toBe(401);
      expect(reply.headers.get('www-authenticate')).toContain('Bearer');
      expect(await reply.json()).toMatchObject({ code: 'unauthorized' });
    }
    expect((await ask('/v2/models/stats')).status).toBe(401);
  });

  test('health, readiness and documents stay open', async () => {
    for (const path of ['/healthz', '/readyz', '/openapi.json', '/v2/health/live'])
      expect((await ask(path)).status, path).toBe(200);
  });

  test('a tenant finds its own predictions, and nobody else does', async () => {
    const made = await ask(`/v1/models/${MODEL}/predictions`, keys.acme, { ...input, metadata: { of: 'acme' } });
    expect([200, 202]).toContain(made.status);
    const { id } = (await made.json()) as { id: string };
    const own = await ask(`/v1/predictions/${id}?wait=10`, keys.acme);
    expect(await own.json()).toMatchObject({ id, status: 'succeeded', metadata: { of: 'acme' } });
    expect((await ask(`/v1/predictions/${id}`, keys.umbrella)).status).toBe(404);
    expect((await ask(`/v1/predictions/${id}/cancel`, keys.umbrella, {})).status).toBe(404);
    const list = (await (await ask('/v1/predictions', keys.umbrella)).json()) as { predictions: unknown[] };
    expect(list.predictions).toEqual([]);
  });

  test('a revoked key and an expired one are good for nothing', async () => {
    const now = Date.now();
    const tenantOf = async (key: string) => (await tenantsOfKeys(db, [hashOfKey(key)]))[0];
    const { key, row } = await createApiKey(db, { tenant: 'acme', name: 'short', expiresAt: now + 3_600_000 });
    const expired = await createApiKey(db, { tenant: 'acme', name: 'over', expiresAt: now - 3_600_000 });
    expect(await tenantsOfKeys(db, [expired.key, key, key, 'none'].map(hashOfKey))).toEqual([
      undefined,
      'acme',
      'acme',
      undefined,
    ]);
    expect((await ask('/v1/models', expired.key)).status).toBe(401);
    expect(await revokeApiKey(db, row.prefix, now)).toBe(1);
    expect(await tenantOf(key)).toBeUndefined();
    expect(await revokeApiKey(db, row.id, now)).toBe(0);
    expect((await listApiKeys(db)).find(({ id }) => id === row.id)?.revokedAt).toBe(now);
    expect((await ask('/v1/models', key)).status).toBe(401);
  });

  test('a key made by 0.1.0, without a checksum, goes on to work', async () => {
    const key = `mrk_${randomBytes(32).toString('base64url')}`;
    await db.query("INSERT INTO api_keys (tenant, hash) VALUES ('acme', $1)", [
      createHash('sha256').update(key).digest(),
    ]);
    expect([formOfKey(key), formOfKey(keys.acme ?? '')]).toEqual(['unchecked', 'checked']);
    expect((await ask('/v1/models', key)).status).toBe(200);
  });

  test('a flood of unknown keys takes none of the connections of known callers', async () => {
    /** When each kind of connection last looked up a key. */
    const lookUps = async () => {
      const { rows } = await db.query<{ name: string; at: Date }>(
        `SELECT application_name AS name, max(query_start) AS at FROM pg_stat_activity
          WHERE datname = current_database() AND query LIKE '%FROM api_keys%' AND application_name LIKE 'millrace-api%'
          GROUP BY 1`,
      );
      return new Map(rows.map(({ name, at }) => [name, at.getTime()]));
    };
    const before = await lookUps();
    const unknown = Array.from({ length: 400 }, (_, at) => {
      const key = `mrk_${randomBytes(32).toString('base64url')}`;
      return at % 2 === 0 ? key : `${key}xxxxxx`;
    });
    const answers = await Promise.all(unknown.map((key) => ask('/v1/models', key)));
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([401]));
    const after = await lookUps();
    expect(after.get('millrace-api')).toEqual(before.get('millrace-api'));
    expect(after.get('millrace-api-keys-unchecked')).toBeGreaterThan(before.get('millrace-api-keys-unchecked') ?? 0);
  });

  test('no key is kept in clear', async () => {
    const { rows } = await db.query<{ text: string }>('SELECT api_keys::text AS text FROM api_keys');
    for (const { text } of rows) for (const key of Object.values(keys)) expect(text).not.toContain(key);
  });
});
