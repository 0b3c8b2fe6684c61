import { createHash, randomBytes } from 'node:crypto';
import { createPool, type Pool } from '@millrace/shared/postgres/db';
import { connectRedis } from '@millrace/shared/redis/connection';
import {
  createApiKey,
  formOfKey,
  hashOfKey,
  listApiKeys,
  ownersOfKeys,
  revokeApiKey,
} from '@millrace/shared/tenants/api-keys';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { useMillrace } from '../support/millrace.ts';
import { rawId } from '../support/raw-id.ts';
import { untilStored } from '../support/until-stored.ts';

const MODEL = 'drug-interaction-similarity';
const millrace = useMillrace({ models: [MODEL] });
let db: Pool;
let locked: Awaited<ReturnType<typeof startLocked>>;
const keys: Record<string, string> = {};

/** A second API process on the same stores that requires keys. */
async function startLocked() {
  const { startApi } = await import('../../apps/api/src/server.ts');
  const { loadConfig } = await import('@millrace/shared/process/config');
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

const request = (path: string, key?: string, body?: unknown) =>
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
  test('a request without a key or with a wrong key learns only how to authenticate', async () => {
    for (const key of [undefined, 'mrk_wrong', `mrk_${'x'.repeat(43)}`]) {
      const reply = await request('/v1/models', key);
      expect(reply.status).toBe(401);
      expect(reply.headers.get('www-authenticate')).toContain('Bearer');
      expect(await reply.json()).toMatchObject({ code: 'unauthorized' });
    }
    expect((await request('/v2/models/stats')).status).toBe(401);
  });

  test('health, readiness and documents stay open', async () => {
    for (const path of ['/healthz', '/readyz', '/openapi.json', '/v2/health/live'])
      expect((await request(path)).status, path).toBe(200);
  });

  test('only its own tenant finds a prediction', async () => {
    const made = await request(`/v1/models/${MODEL}/predictions`, keys.acme, { ...input, metadata: { of: 'acme' } });
    expect([200, 202]).toContain(made.status);
    const { id } = (await made.json()) as { id: string };
    const own = await request(`/v1/predictions/${id}?wait=10`, keys.acme);
    expect(await own.json()).toMatchObject({ id, status: 'succeeded', metadata: { of: 'acme' } });
    expect((await request(`/v1/predictions/${id}`, keys.umbrella)).status).toBe(404);
    expect((await request(`/v1/predictions/${id}/cancel`, keys.umbrella, {})).status).toBe(404);
    const list = (await (await request('/v1/predictions', keys.umbrella)).json()) as { data: unknown[] };
    expect(list.data).toEqual([]);
  });

  describe('the cached result of one tenant for a public model serves another tenant', () => {
    const post = async (key: string | undefined, x: number, cacheControl = '') => {
      const url = key === undefined ? millrace.url : locked.url;
      const reply = await fetch(`${url}/v1/models/${MODEL}/predictions`, {
        method: 'POST',
        headers: {
          'content-type': 'application/json',
          prefer: 'wait=20',
          ...(key === undefined ? {} : { authorization: `Bearer ${key}` }),
          ...(cacheControl === '' ? {} : { 'cache-control': cacheControl }),
        },
        body: JSON.stringify({ input: { similarities: [[x, 0.2, 0.3, 0.4, 0.5]] } }),
      });
      // biome-ignore lint/suspicious/noExplicitAny: the tests check the members of a body.
      return { status: reply.status, headers: reply.headers, body: (await reply.json()) as any };
    };
    /** Resolves to the first hit, when the result is in the cache: the worker writes the result beside the response. */
    const cached = async (key: string | undefined, x: number) => {
      let response: Awaited<ReturnType<typeof post>> | undefined;
      const look = async () => {
        response = await post(key, x, 'only-if-cached');
        return response.status;
      };
      await expect.poll(look).toBe(200);
      return response as Awaited<ReturnType<typeof post>>;
    };

    test('as a new prediction that reveals nothing about the first', async () => {
      const first = await post(keys.acme, 0.71);
      const before = Date.now();
      const other = await cached(keys.umbrella, 0.71);
      expect(other.body).toMatchObject({ status: 'succeeded', output: first.body.output, started_at: null });
      expect(other.body.metrics).toMatchObject({ wait_ms: null, run_ms: null, run_rows: null });
      expect(Date.parse(other.body.created_at)).toBeGreaterThan(before - 1_000);
      expect(JSON.stringify(other.body)).not.toContain(first.body.id);
      expect(other.headers.get('cache-status')).toMatch(/^millrace; hit; key="[0-9a-f]{8}"$/);
      expect(other.headers.get('age')).toBeNull();
      expect((await request(`/v1/predictions/${other.body.id}`, keys.umbrella)).status).toBe(200);
      expect((await request(`/v1/predictions/${other.body.id}`, keys.acme)).status).toBe(404);
      // From now on, the API sends the tenant's own copy as stored bytes.
      await untilStored(millrace, other.body.id);
      const again = await post(keys.umbrella, 0.71);
      expect([again.body.id, again.headers.get('etag')]).toEqual([other.body.id, `"${other.body.id}"`]);
    });

    test('and also serves callers without a key, in both directions', async () => {
      const first = await post(keys.acme, 0.72);
      const open = await cached(undefined, 0.72);
      expect(open.body.id).not.toBe(first.body.id);
      expect(open.body.output).toEqual(first.body.output);
      const before = await post(undefined, 0.73);
      expect((await cached(keys.acme, 0.73)).body.id).not.toBe(before.body.id);
    });

    test('until the tenant requests a new computation', async () => {
      await post(keys.acme, 0.74);
      const copy = await cached(keys.umbrella, 0.74);
      await untilStored(millrace, copy.body.id);
      expect((await post(keys.umbrella, 0.74)).body.id).toBe(copy.body.id);
      const afresh = await post(keys.umbrella, 0.74, 'no-cache');
      expect(afresh.headers.get('cache-status')).toContain('fwd=request');
      await expect.poll(async () => (await post(keys.umbrella, 0.74)).body.id).not.toBe(copy.body.id);
    });
  });

  test("the statistics of /v2 count only the tenant's own requests", async () => {
    const count = async (key?: string) => {
      const { model_stats } = (await (await request(`/v2/models/${MODEL}/stats`, key)).json()) as {
        model_stats: { inference_count: number }[];
      };
      return model_stats[0]?.inference_count;
    };
    const body = {
      inputs: [{ name: 'similarities', shape: [1, 5], datatype: 'FP32', data: [0.1, 0.2, 0.3, 0.4, 0.9] }],
    };
    expect((await request(`/v2/models/${MODEL}/infer`, keys.acme, body)).status).toBe(200);
    expect([await count(keys.acme), await count(keys.umbrella)]).toEqual([1, 0]);
    const all = (await (await request('/v2/models/stats', keys.umbrella)).json()) as {
      model_stats: { last_inference: number }[];
    };
    expect(new Set(all.model_stats.map(({ last_inference }) => last_inference))).toEqual(new Set([0]));
  });

  test('a prediction with unreadable live state is read from the ledger', async () => {
    const made = await request(`/v1/models/${MODEL}/predictions`, keys.acme, { ...input, metadata: { n: '1' } });
    const { id } = (await made.json()) as { id: string };
    const own = () => request(`/v1/predictions/${id}`, keys.acme);
    await expect
      .poll(async () => (await own()).headers.get('millrace-prediction-status'), { timeout: 60_000 })
      .toBe('succeeded');
    await expect
      .poll(
        async () =>
          (await db.query('SELECT 1 FROM predictions WHERE id = $1 AND status = $2', [rawId(id), 'succeeded']))
            .rowCount,
      )
      .toBe(1);
    const redis = connectRedis(millrace.config.redisUrl, 'blocking', { cluster: millrace.config.redisCluster });
    const live = millrace.keys.live(rawId(id));
    const damage = [
      () => redis.set(live, 'x'),
      () => redis.setrange(live, 0, 'garbage'),
      () => redis.set(live, Buffer.from([0xff, 0x1f, 0x00])),
      () => redis.hset(live, 'a', '1'),
    ];
    for (const spoil of damage) {
      await redis.del(live);
      await spoil();
      const reply = await own();
      expect([reply.status, await reply.json()]).toMatchObject([
        200,
        { id, status: 'succeeded', metadata: { n: '1' } },
      ]);
      expect((await request(`/v1/predictions/${id}`, keys.umbrella)).status).toBe(404);
    }
    await redis.del(live);
    redis.disconnect();
  });

  test('a revoked key and an expired key are refused', async () => {
    const now = Date.now();
    const tenantOf = async (key: string) => (await ownersOfKeys(db, [hashOfKey(key)]))[0];
    const owner = { tenant: 'acme', expiresAt: now + 3_600_000 };
    const { key, row } = await createApiKey(db, { ...owner, name: 'short' });
    const expired = await createApiKey(db, { tenant: 'acme', name: 'over', expiresAt: now - 3_600_000 });
    expect(await ownersOfKeys(db, [expired.key, key, key, 'none'].map(hashOfKey))).toEqual([
      undefined,
      owner,
      owner,
      undefined,
    ]);
    expect((await request('/v1/models', expired.key)).status).toBe(401);
    expect(await revokeApiKey(db, row.prefix, now)).toBe(1);
    expect(await tenantOf(key)).toBeUndefined();
    expect(await revokeApiKey(db, row.id, now)).toBe(0);
    expect((await listApiKeys(db)).find(({ id }) => id === row.id)?.revokedAt).toBe(now);
    expect((await request('/v1/models', key)).status).toBe(401);
  });

  test('a key from 0.1.0, without a checksum, still works', async () => {
    const key = `mrk_${randomBytes(32).toString('base64url')}`;
    await db.query("INSERT INTO api_keys (tenant, hash) VALUES ('acme', $1)", [
      createHash('sha256').update(key).digest(),
    ]);
    expect([formOfKey(key), formOfKey(keys.acme ?? '')]).toEqual(['unchecked', 'checked']);
    expect((await request('/v1/models', key)).status).toBe(200);
  });

  test('many unknown keys take no connections from callers with known keys', async () => {
    /** The time of the last key look-up for each kind of connection. */
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
    const responses = await Promise.all(unknown.map((key) => request('/v1/models', key)));
    expect(new Set(responses.map(({ status }) => status))).toEqual(new Set([401]));
    const after = await lookUps();
    expect(after.get('millrace-api')).toEqual(before.get('millrace-api'));
    expect(after.get('millrace-api-keys-unchecked')).toBeGreaterThan(before.get('millrace-api-keys-unchecked') ?? 0);
  });

  test('no key is stored in plain text', async () => {
    const { rows } = await db.query<{ text: string }>('SELECT api_keys::text AS text FROM api_keys');
    for (const { text } of rows) for (const key of Object.values(keys)) expect(text).not.toContain(key);
  });
});
