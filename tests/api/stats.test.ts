/** The history of predictions and the list of workers, from a whole Millrace. */
import { createPool, type Pool } from '@millrace/shared/postgres/db';
import { loadConfig } from '@millrace/shared/process/config';
import { createApiKey } from '@millrace/shared/tenants/api-keys';
import pino from 'pino';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { type RunningApi, startApi } from '../../apps/api/src/server.ts';
import { useMillrace } from '../support/millrace.ts';
import { connectTestRedis } from '../support/test-redis.ts';
import { untilCached } from '../support/until-cached.ts';

const MODEL = 'drug-interaction-similarity';
const millrace = useMillrace({ models: [MODEL] });
let db: Pool;
let locked: RunningApi;
const keys: Record<string, string> = {};

beforeAll(async () => {
  const databaseUrl = millrace.config.databaseUrl;
  db = createPool({ databaseUrl, max: 2, statementTimeoutMs: 10_000, applicationName: 'stats-test' });
  for (const tenant of ['acme', 'default'])
    keys[tenant] = (await createApiKey(db, { tenant, name: 'test', expiresAt: null })).key;
  const env = { ...millrace.env, API_KEYS_REQUIRED: 'true', MAX_QUEUE: '1' };
  locked = await startApi(loadConfig(env), pino({ level: 'silent' }));
});
afterAll(async () => {
  await locked?.close(5_000);
  await db?.end();
});

const read = async (tenant: string, path: string) => {
  const response = await fetch(locked.url + path, { headers: { authorization: `Bearer ${keys[tenant]}` } });
  // biome-ignore lint/suspicious/noExplicitAny: the tests check the members of a body.
  return { status: response.status, body: (await response.json()) as any };
};

const input = (n: number) => ({ input: { similarities: [[0.1, 0.2, 0.3, 0.4, n / 100]] } });
const WAIT = { prefer: 'wait=20' };
// biome-ignore lint/suspicious/noExplicitAny: the tests add members of a body.
const total = (body: any, name: string): number =>
  body.data.reduce((sum: number, { values }: { values: Record<string, number> }) => sum + (values[name] ?? 0), 0);
const UNTIL = { timeout: 60_000, interval: 250 };

describe('the history', () => {
  test('has the predictions, hits and durations of a model', { timeout: 180_000 }, async () => {
    for (let n = 0; n < 5; n += 1) expect((await millrace.predict(MODEL, input(n), WAIT)).status).toBe(200);
    const { body } = await millrace.predict(MODEL, input(9), WAIT);
    // Each wait ends with a hit, and a further hit follows.
    for (let n = 0; n < 5; n += 1) {
      await untilCached(millrace, MODEL, input(n));
      await millrace.predict(MODEL, input(n));
    }
    await vi.waitFor(async () => {
      const { body: stats } = await millrace.request(`/v1/stats?model=${MODEL}`);
      const names = ['accepted', 'succeeded', 'hits', 'misses', 'refused', 'failed'];
      expect(names.map((name) => total(stats, name))).toEqual([6, 6, 10, 6, 0, 0]);
      const busy = stats.data.find(({ values }: { values: { succeeded: number } }) => values.succeeded > 0);
      expect(busy.values).toMatchObject({ error_share: 0, oldest_waiting_s: null });
      expect(stats.data.at(-1).values.waiting).toBe(0);
      expect(busy.values.rate).toBeGreaterThan(0);
      expect(busy.values.total_p95_ms).toBeGreaterThanOrEqual(busy.values.total_p50_ms);
      expect(busy.values.run_p50_ms).toBeGreaterThan(0);
    }, UNTIL);
    expect(body.status).toBe('succeeded');
    const all = await millrace.request('/v1/stats');
    expect(total(all.body, 'succeeded')).toBe(6);
    const other = await millrace.request('/v1/stats?model=no-such-model');
    expect(total(other.body, 'succeeded')).toBe(0);
  });

  test('has all steps from the beginning to the present, oldest first', async () => {
    const to = new Date(Date.now() - 60_000);
    const from = new Date(to.getTime() - 3_600_000);
    const range = `from=${from.toISOString()}&to=${to.toISOString()}`;
    const { body } = await millrace.request(`/v1/stats?${range}&step=600`);
    const times = body.data.map(({ start_at }: { start_at: string }) => Date.parse(start_at));
    expect(times).toEqual(times.map((_: number, n: number) => times[0] + n * 600_000));
    expect(times[0]).toBe(Math.floor(from.getTime() / 600_000) * 600_000);
    expect(times.at(-1)).toBeLessThan(to.getTime());
    expect(times.at(-1)).toBeGreaterThanOrEqual(to.getTime() - 600_000);
    expect(body).toMatchObject({ next: null, has_more: false });
    const offset = from.toISOString().replace('Z', '%2B00:00');
    expect((await millrace.request(`/v1/stats?from=${offset}&to=${to.toISOString()}&step=600`)).body).toEqual(body);
    const later = new Date(Date.now() + 3_600_000).toISOString();
    const future = await millrace.request(
      `/v1/stats?from=${later}&to=${new Date(Date.now() + 7_200_000).toISOString()}`,
    );
    expect(future.body.data).toEqual([]);
  });

  test('has pages with the steps of the whole list', async () => {
    const to = new Date(Date.now() - 60_000).toISOString();
    const range = `from=${new Date(Date.now() - 3_600_000).toISOString()}&to=${to}&step=300`;
    const { body: whole } = await millrace.request(`/v1/stats?${range}`);
    const steps: unknown[] = [];
    for (let path: string | undefined = `/v1/stats?${range}&limit=5`; path !== undefined; ) {
      const { body, headers }: { body: { data: unknown[]; next: string | null }; headers: Headers } =
        await millrace.request(path);
      expect(body.data.length).toBeLessThanOrEqual(5);
      steps.push(...body.data);
      path = /^<([^>]+)>; rel="next"$/.exec(headers.get('link') ?? '')?.[1];
      expect(path === undefined).toBe(body.next === null);
    }
    expect(steps).toEqual(whole.data);
    const { body: other } = await millrace.request(`/v1/stats?${range}&limit=1`);
    const wrong = await millrace.request(`/v1/stats?${range}&model=x&cursor=${other.next}`);
    expect(wrong.body.code).toBe('invalid_cursor');
    // A client that knows the name of the list writes its own places.
    const list = Buffer.from(other.next, 'base64url').subarray(0, 4);
    const at = Date.parse(to);
    for (const place of [
      [-1, at, 300],
      [0, at, 60],
      [at, 0, 300],
      [at, at + 60_000, 0],
      [at, at + 60_000, 61],
      [0, Number.MAX_SAFE_INTEGER, 300],
      ['0', at, 300],
    ]) {
      const cursor = Buffer.concat([list, Buffer.from(JSON.stringify(place))]).toString('base64url');
      expect((await millrace.request(`/v1/stats?${range}&cursor=${cursor}`)).body.code).toBe('invalid_cursor');
    }
  });

  test.each([
    [1, 60],
    [3, 60],
    [24, 600],
    [48, 1_200],
    [168, 3_600],
    [24 * 30, 14_400],
    [24 * 365, 604_800],
  ])('chooses the step of %d hours', async (hours, stepS) => {
    const to = Date.now();
    const from = new Date(to - hours * 3_600_000).toISOString();
    const { body } = await millrace.request(`/v1/stats?from=${from}&to=${new Date(to).toISOString()}`);
    expect(body.data.length).toBeLessThanOrEqual(200);
    expect(Date.parse(body.data[1].start_at) - Date.parse(body.data[0].start_at)).toBe(stepS * 1_000);
  });

  test.each([
    ['step=59'],
    ['step=90'],
    ['step=1e9'],
    ['from=yesterday'],
    ['to=2026-13-01T00:00:00Z'],
    ['from=2026-01-02T00:00:00Z&to=2026-01-01T00:00:00Z'],
    ['from=2026-01-01T00:00:00Z&to=2026-01-03T02:00:00Z&step=60'],
    ['from=2026-01-01T00:00:00Z&to=2026-01-10T00:00:00Z&step=1800'],
    ['from=2000-01-01T00:00:00Z&step=3600'],
    ['model='],
    ['tenant=acme'],
    ['model=a&model=b'],
  ])('refuses %s', async (query) => {
    const { status, body } = await millrace.request(`/v1/stats?${query}`);
    expect([query, status, body.code]).toEqual([query, 400, 'invalid_request']);
  });

  test('has the models by their requests, in pages', async () => {
    const { body } = await millrace.request('/v1/stats/models');
    expect(body.data).toHaveLength(1);
    const [item] = body.data;
    expect(item.model).toBe(MODEL);
    expect(item.values).toMatchObject({ accepted: 6, succeeded: 6, hits: 10, hit_share: 0.625, waiting: 0 });
    expect(item.values.run_p95_ms).toBeGreaterThan(0);
    expect(item.requests.reduce((sum: number, count: number) => sum + count, 0)).toBe(16);
    const begin =
      Date.parse(item.start_at) + item.requests.findLastIndex((count: number) => count > 0) * item.step_s * 1_000;
    expect(begin).toBeLessThanOrEqual(Date.now());
    expect(begin).toBeGreaterThan(Date.now() - 3_600_000);
    const { body: first } = await millrace.request('/v1/stats/models?limit=1');
    expect([first.data.length, first.next]).toEqual([1, null]);
    const before = await millrace.request('/v1/stats/models?from=2026-01-01T00:00:00Z&to=2026-01-01T01:00:00Z');
    expect(before.body.data).toEqual([]);
    for (const query of ['from=yesterday', 'step=61', 'model=x', 'cursor=x', 'from=2026-01-01T00:00:00Z&step=60'])
      expect([query, (await millrace.request(`/v1/stats/models?${query}`)).status]).toEqual([query, 400]);
    expect((await read('acme', '/v1/stats/models')).body.data).toEqual([]);
  });

  test('shows a tenant only its own predictions, and the tenant default all', { timeout: 180_000 }, async () => {
    const authorization = `Bearer ${keys.acme}`;
    const own = await fetch(`${locked.url}/v1/models/${MODEL}/predictions`, {
      method: 'POST',
      headers: { authorization, 'content-type': 'application/json', ...WAIT },
      body: JSON.stringify(input(50)),
    });
    expect(own.status).toBe(200);
    await vi.waitFor(async () => {
      const { body } = await read('acme', '/v1/stats');
      expect([total(body, 'succeeded'), total(body, 'accepted'), total(body, 'hits')]).toEqual([1, 1, 0]);
      for (const { values } of body.data) expect([values.waiting, values.oldest_waiting_s]).toEqual([null, null]);
      const all = await read('default', '/v1/stats');
      expect(total(all.body, 'succeeded')).toBe(7);
    }, UNTIL);
  });

  test('has the waiting predictions, the age of the oldest, and refusals', { timeout: 180_000 }, async () => {
    await millrace.stopWorkers('stop');
    const recorder = await millrace.startWorker({ WORKER_ROLES: 'recorder' });
    const authorization = `Bearer ${keys.acme}`;
    const statuses: number[] = [];
    for (const n of [60, 61, 62]) {
      const reply = await fetch(`${locked.url}/v1/models/${MODEL}/predictions`, {
        method: 'POST',
        headers: { authorization, 'content-type': 'application/json' },
        body: JSON.stringify(input(n)),
      });
      await reply.arrayBuffer();
      statuses.push(reply.status);
    }
    expect(statuses).toContain(202);
    expect(statuses.at(-1)).toBe(429);
    await vi.waitFor(async () => {
      const { body } = await millrace.request(`/v1/stats?model=${MODEL}`);
      const { values } = body.data.at(-1);
      expect(values.waiting).toBeGreaterThan(0);
      expect(values.oldest_waiting_s).toBeGreaterThan(0);
      expect(total(body, 'refused')).toBeGreaterThan(0);
    }, UNTIL);
    const unknown = await fetch(`${locked.url}/v1/models/none/predictions`, {
      method: 'POST',
      headers: { authorization, 'content-type': 'application/json' },
      body: JSON.stringify(input(1)),
    });
    expect(unknown.status).toBe(404);
    await recorder.stop();
    await millrace.startWorker();
  });
});

describe('the list of workers', () => {
  test('has the roles, models and engines of each worker', { timeout: 180_000 }, async () => {
    await vi.waitFor(async () => {
      const { body } = await millrace.request('/v1/workers');
      const worker = body.data.find(({ roles }: { roles: string[] }) => roles.includes('inference'));
      expect(worker).toMatchObject({
        status: 'running',
        roles: ['inference', 'webhooks', 'recorder'],
        models: [{ name: MODEL, version: expect.any(String), providers: ['cpu'] }],
        providers: ['cpu'],
        held: 0,
        release: '0.1.0',
      });
      expect(worker.memory_bytes).toBeGreaterThan(50_000_000);
      expect(worker.engines).toHaveLength(1);
      expect(worker.engines[0]).toMatchObject({ provider: 'cpu', status: expect.stringMatching(/idle|busy/) });
      expect((await millrace.request(`/v1/workers/${worker.id}`)).body).toMatchObject({ id: worker.id });
    }, UNTIL);
    expect((await millrace.request('/v1/workers/none')).body).toMatchObject({ status: 404, code: 'not_found' });
  });

  test('has pages, and leaves out what it cannot read and what is older than an hour', async () => {
    const redis = connectTestRedis();
    const name = millrace.keys.workers();
    const [{ id }] = (await millrace.request('/v1/workers')).body.data;
    const entry = ((await redis.hget(name, id)) ?? '').replace(/^\d+ /, '');
    const now = Date.now();
    await redis.hset(name, {
      x1: `${now - 20_000} ${entry}`,
      x2: `${now} ${entry.replace('"draining":false', '"draining":true')}`,
      x3: `${now - 3_700_000} ${entry}`,
      x4: `${now} ${entry.replace('"v":1', '"v":2')}`,
      x5: 'damaged',
      x6: `${now} {"v":1}`,
    });
    const shown: string[] = [];
    for (let path: string | null = '/v1/workers?limit=1'; path !== null; ) {
      const { body }: { body: { data: { id: string; status: string }[]; next: string | null } } =
        await millrace.request(path);
      expect(body.data).toHaveLength(1);
      shown.push(...body.data.map((worker) => `${worker.id === id ? 'own' : worker.id} ${worker.status}`));
      path = body.next === null ? null : `/v1/workers?limit=1&cursor=${encodeURIComponent(body.next)}`;
    }
    expect(shown).toEqual(['own running', 'x1 stale', 'x2 draining']);
    await redis.hdel(name, 'x1', 'x2', 'x3', 'x4', 'x5', 'x6');
    redis.disconnect();
    expect((await millrace.request('/v1/workers?cursor=wrong')).body.code).toBe('invalid_cursor');
  });

  test('is empty after the workers have stopped, and a killed worker stays', { timeout: 180_000 }, async () => {
    const worker = await millrace.startWorker({ WORKER_ROLES: 'webhooks' });
    const listed = async () =>
      (await millrace.request('/v1/workers')).body.data.map(({ roles }: { roles: string[] }) => roles.join());
    await vi.waitFor(async () => expect(await listed()).toContain('webhooks'), UNTIL);
    await worker.stop();
    expect(await listed()).not.toContain('webhooks');
    const killed = await millrace.startWorker({ WORKER_ROLES: 'webhooks' });
    await vi.waitFor(async () => expect(await listed()).toContain('webhooks'), UNTIL);
    await killed.kill();
    expect(await listed()).toContain('webhooks');
  });

  test('is shown to the tenant default only', async () => {
    expect((await read('default', '/v1/workers')).status).toBe(200);
    for (const path of ['/v1/workers', '/v1/workers/none', '/%76%31/workers']) {
      const { status, body } = await read('acme', path);
      expect([status, body.code]).toEqual([404, 'not_found']);
    }
  });
});

describe('the queue of the history', () => {
  test('has the present queue in the last step while no recorder notes the queue', { timeout: 180_000 }, async () => {
    await millrace.stopWorkers('stop');
    const present = async (path: string, name = '') => {
      const { data } = (await millrace.request(path)).body;
      const found = name === '' ? data.at(-1) : data.find(({ model }: { model: string }) => model === name);
      return [found?.values.waiting, found?.values.oldest_waiting_s > 0];
    };
    // Other tests leave predictions in the queue.
    const waiting = 3 + Number((await present('/v1/stats'))[0]);
    const async = { prefer: 'respond-async' };
    for (let n = 0; n < 3; n += 1) expect((await millrace.predict(MODEL, input(600 + n), async)).status).toBe(202);
    // The hour's step is a note of the past, and each longer step has the present all the same.
    for (const path of ['/v1/stats', `/v1/stats?model=${MODEL}`, '/v1/stats?step=3600'])
      await vi.waitFor(async () => expect([path, ...(await present(path))]).toEqual([path, waiting, true]), UNTIL);
    expect(await present('/v1/stats/models', MODEL)).toEqual([waiting, true]);
    const past = new Date(Date.now() - 60_000).toISOString();
    expect((await present(`/v1/stats?to=${past}`))[0]).not.toBe(waiting);
    // Another tenant sees no queue.
    expect((await read('acme', '/v1/stats')).body.data.at(-1).values.waiting).toBeNull();
    await millrace.startWorker();
    await vi.waitFor(async () => expect((await present('/v1/stats'))[0]).toBe(0), UNTIL);
  });
});
