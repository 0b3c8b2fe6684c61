/** The responses from the cache: each is the prediction that a GET of its id returns. */
import { randomUUID } from 'node:crypto';
import { decodeResult, encodeResult } from '@millrace/shared/cache/result-value';
import { createPool } from '@millrace/shared/postgres/db';
import { loadConfig } from '@millrace/shared/process/config';
import { connectRedis } from '@millrace/shared/redis/connection';
import { createApiKey } from '@millrace/shared/tenants/api-keys';
import pino from 'pino';
import { afterAll, describe, expect, test } from 'vitest';
import { startApi } from '../../apps/api/src/server.ts';
import { useMillrace } from '../support/millrace.ts';
import { makeModelFolder } from '../support/model-folder.ts';
import { holdWorker } from '../support/slow-work.ts';
import { keysOf } from '../support/test-redis.ts';
import { untilStored } from '../support/until-stored.ts';
import { textWithoutTimeline } from '../support/without-timeline.ts';

let remove = async () => {};
const millrace = useMillrace(async () => {
  const folder = await makeModelFolder(['slow', 'echo', 'rows', 'public']);
  remove = folder.remove;
  const models = ['slow', 'echo', 'rows', 'public'];
  return { modelsDir: folder.dir, models, env: { WORKER_CONCURRENCY: '1' } };
});
afterAll(() => remove());

const WAIT = { prefer: 'wait=30' };
let used = 0;
/** An input that no other test has. */
const fresh = () => {
  used += 1;
  return { input: { x: [9_000, used] } };
};
async function get(id: string) {
  const response = await millrace.request(`/v1/predictions/${id}`);
  return { ...response, text: textWithoutTimeline(response.text) };
}
const isHit = (status: string | null) => status?.startsWith('millrace; hit') === true;

/** Sends a request until the response is from the cache. */
async function hit(model: string, body: object, headers: Record<string, string> = {}) {
  let response = await millrace.predict(model, body, { ...WAIT, ...headers });
  await expect
    .poll(async () => {
      if (!isHit(response.headers.get('cache-status')))
        response = await millrace.predict(model, body, { ...WAIT, ...headers });
      return isHit(response.headers.get('cache-status'));
    })
    .toBe(true);
  return response;
}

async function recorded(id: string): Promise<void> {
  await expect.poll(async () => (await millrace.request('/v1/predictions?limit=100')).text).toContain(`"${id}"`);
}

/** The part of a prediction that the tests of links read. */
interface Linked {
  id: string;
  urls: Record<string, string | null>;
}

describe('a prediction has the same bytes in each response:', () => {
  const states: Readonly<Record<string, () => Promise<{ id: string; text: string }>>> = {
    'computed for a caller who waits': async () => {
      const { body, text } = await millrace.predict('echo', fresh(), WAIT);
      return { id: body.id, text };
    },
    'completed from the cache for metadata': async () => {
      const request = fresh();
      await hit('echo', request);
      const own = await millrace.predict('echo', { ...request, metadata: { order: 'A-17' } }, WAIT);
      expect(own.body).toMatchObject({ cache: 'hit', attempt: 0, started_at: null, metadata: { order: 'A-17' } });
      return { id: own.body.id, text: own.text };
    },
    'completed from cached rows of a list': async () => {
      const rows = [{ x: [[used, 1]] }, { x: [[used, 2]] }];
      await millrace.predict('rows', { inputs: rows }, WAIT);
      const own = await hit('rows', { inputs: rows });
      expect(own.body).toMatchObject({ cache: 'hit', rows: 2 });
      return { id: own.body.id, text: own.text };
    },
    'partly cached': async () => {
      await hit('rows', { input: { x: [[77, 1]] } });
      const own = await millrace.predict('rows', { inputs: [{ x: [[77, 1]] }, { x: [[78, 1]] }] }, WAIT);
      expect(own.body).toMatchObject({ cache: 'partial', rows: 2, metrics: { run_rows: 1 } });
      return { id: own.body.id, text: own.text };
    },
    'collapsed with an equal request': async () => {
      const held = await holdWorker(millrace);
      const request = { input: { x: [700_000] } };
      const leader = millrace.predict('slow', { ...request, metadata: { leads: 'yes' } });
      await leader;
      const follower = millrace.predict('slow', request, WAIT);
      await held.release();
      const { body, text } = await follower;
      expect(body).toMatchObject({ status: 'succeeded', cache: 'collapsed' });
      return { id: body.id, text };
    },
    'computed without the cache': async () => {
      const { body, text } = await millrace.predict('echo', fresh(), { ...WAIT, 'cache-control': 'no-store' });
      expect(body.cache).toBe('bypass');
      return { id: body.id, text };
    },
    'with a priority and a webhook': async () => {
      const webhook = { url: 'https://hooks.example.com/a' };
      const { body, text } = await millrace.predict('echo', { ...fresh(), priority: 'high', webhook }, WAIT);
      expect(body).toMatchObject({ priority: 'high', webhook: { ...webhook, events: null }, cache: 'miss' });
      return { id: body.id, text };
    },
  };

  test.each(Object.keys(states))('%s', async (name) => {
    const { id, text } = await (states[name] as (typeof states)[string])();
    const live = await get(id);
    expect(live.text).toBe(text);
    await recorded(id);
    await millrace.forget(id);
    const old = await get(id);
    expect(old.text).toBe(text);
    expect(old.headers.get('etag')).toBe(live.headers.get('etag'));
  });

  test('from the cache', async () => {
    const request = { ...fresh(), expires_in: 600, priority: 'low' };
    const computed = await millrace.predict('echo', request, WAIT);
    const cached = await hit('echo', { input: request.input });
    expect(cached.text).toBe(computed.text);
    expect((await get(computed.body.id)).text).toBe(cached.text);
    expect(cached.headers.get('etag')).toBe(computed.headers.get('etag'));
    for (const { headers } of [computed, cached])
      expect(headers.get('content-location')).toBe(`/v1/predictions/${computed.body.id}`);
  });
});

describe('a hit returns a prediction that its caller can read', () => {
  test('when the prediction that computed the result was canceled', async () => {
    const held = await holdWorker(millrace);
    const request = { input: { x: [710_000] } };
    const leader = await millrace.predict('slow', request);
    const follower = await millrace.predict('slow', request);
    await millrace.request(`/v1/predictions/${leader.body.id}/cancel`, { method: 'POST' });
    await held.release();
    const cached = await hit('slow', request);
    expect(cached.body.id).not.toBe(leader.body.id);
    expect((await get(cached.body.id)).text).toBe(cached.text);
    expect((await get(leader.body.id)).body.status).toBe('canceled');
    expect((await get(follower.body.id)).body.status).toBe('succeeded');
  });

  test('when the prediction was canceled during the run', async () => {
    const held = await holdWorker(millrace);
    await millrace.request(`/v1/predictions/${held.id}/cancel`, { method: 'POST' });
    const next = await millrace.predict('slow', { input: { x: [720_000] } }, WAIT);
    // On a busy machine both runs take longer than the wait of the caller.
    await expect.poll(async () => (await get(next.body.id)).body.status).toBe('succeeded');
    // The engine has completed the canceled run. Its output may be in the cache, its prediction may not.
    const redis = connectRedis(millrace.config.redisUrl, 'blocking', { cluster: millrace.config.redisCluster });
    const bodies: string[] = [];
    for (const key of await keysOf(redis, millrace.keys.result(''))) {
      const bytes = (await redis.getBuffer(key)) ?? Buffer.alloc(0);
      bodies.push(bytes.toString('latin1'));
    }
    redis.disconnect();
    expect(bodies.length).toBeGreaterThan(0);
    expect(bodies.filter((body) => body.includes(held.id))).toEqual([]);
  });

  test('when the prediction has metadata, which belong to its caller', async () => {
    const request = fresh();
    const first = await millrace.predict('echo', { ...request, metadata: { whose: 'mine' } }, WAIT);
    const cached = await hit('echo', request);
    expect(cached.body).toMatchObject({ metadata: null, output: first.body.output });
    expect(cached.body.id).not.toBe(first.body.id);
    expect((await get(cached.body.id)).text).toBe(cached.text);
    // The first hit created a prediction, and the next hits return the same prediction.
    await untilStored(millrace, cached.body.id);
    expect((await millrace.predict('echo', request)).text).toBe(cached.text);
  });

  test.each<[string, (text: string, id: string) => string]>([
    ['0.1.0', (text, id) => text.replace(/"urls":.*$/, `"urls":{"self":"/v1/predictions/${id}"}}`)],
    [
      'a version with `attempts` and with the links at the end',
      (text) =>
        text
          .replace('"attempt":', '"attempts":')
          .replace(/,("urls":.*),("queue":null)}$/, (_, urls, queue) => `,${queue},${urls}}`),
    ],
  ])('when %s stored the result', async (_, layoutOf) => {
    const request = fresh();
    const first = await hit('echo', request);
    const redis = connectRedis(millrace.config.redisUrl, 'blocking', { cluster: millrace.config.redisCluster });
    const { digest } = first.body;
    const names = await keysOf(redis, millrace.keys.result(''));
    for (const name of names) {
      const bytes = (await redis.getBuffer(name)) ?? Buffer.alloc(0);
      if (!bytes.toString('latin1').includes(first.body.id)) continue;
      const cacheKey = name.slice(millrace.keys.result('').length);
      const stored = decodeResult(cacheKey, bytes);
      const old = layoutOf(first.text, first.body.id);
      expect(old).not.toBe(first.text);
      const value = encodeResult({
        cacheKey,
        storedAt: stored?.storedAt ?? 0,
        freshUntil: stored?.freshUntil ?? 0,
        output: String(stored?.output),
        body: old,
      });
      await redis.set(name, value, 'PX', 60_000);
    }
    redis.disconnect();
    // A result that this process has in memory is read again within a second.
    await expect.poll(async () => (await hit('echo', request)).body.id, { timeout: 60_000 }).not.toBe(first.body.id);
    const again = await hit('echo', request);
    expect(again.body).toMatchObject({ digest, output: first.body.output });
    expect((await get(again.body.id)).text).toBe(again.text);
  });
});

describe('each tenant', () => {
  test('can read each id of each response, on a private and on a public model', async () => {
    const db = createPool({
      databaseUrl: millrace.config.databaseUrl,
      max: 2,
      statementTimeoutMs: 10_000,
      applicationName: 'hits-test',
    });
    const tenants = ['acme', 'umbrella'];
    const keys = await Promise.all(
      tenants.map(async (tenant) => (await createApiKey(db, { tenant, name: 'test', expiresAt: null })).key),
    );
    const locked = await startApi(
      loadConfig({ ...millrace.env, API_KEYS_REQUIRED: 'true' }),
      pino({ level: 'silent' }),
    );
    try {
      for (const model of ['echo', 'public']) {
        const input = { input: { x: [8_000, model.length] } };
        const bodies = [
          input,
          { inputs: [input.input, input.input] },
          { ...input, metadata: { a: 'b' } },
          { ...input, priority: 'high' },
        ];
        for (let round = 0; round < 4; round += 1) {
          for (const key of keys) {
            const headers = { authorization: `Bearer ${key}`, 'content-type': 'application/json' };
            for (const body of bodies) {
              for (const more of [{}, WAIT, { 'idempotency-key': randomUUID() }, { 'cache-control': 'no-cache' }]) {
                const made = await fetch(`${locked.url}/v1/models/${model}/predictions`, {
                  method: 'POST',
                  headers: { ...headers, ...more },
                  body: JSON.stringify(body),
                });
                const text = await made.text();
                const { id, status } = JSON.parse(text) as { id: string; status: string };
                const read = await fetch(`${locked.url}/v1/predictions/${id}`, { headers });
                expect([read.status, model, made.headers.get('cache-status')]).toMatchObject([200, model, {}]);
                if (status === 'succeeded') expect(textWithoutTimeline(await read.text())).toBe(text);
              }
            }
          }
        }
      }
    } finally {
      await locked.close(5_000);
      await db.end();
    }
  }, 60_000);
});

describe('an Idempotency-Key of a hit', () => {
  test('is not claimed: the response is the stored prediction, for any content', async () => {
    const key = randomUUID();
    const [one, other] = [fresh(), fresh()];
    const cached = await hit('echo', one);
    await hit('echo', other);
    const send = (body: object) => millrace.predict('echo', body, { ...WAIT, 'idempotency-key': key });
    expect((await send(one)).text).toBe(cached.text);
    expect((await send(other)).body.output.y.data).toEqual(other.input.x);
    // The key names a prediction only from here on.
    const made = await send({ ...one, metadata: { mine: 'yes' } });
    expect(made.body.metadata).toEqual({ mine: 'yes' });
    expect((await send({ ...one, metadata: { mine: 'yes' } })).body.id).toBe(made.body.id);
    expect((await send({ ...one, metadata: { mine: 'no' } })).body.code).toBe('idempotency_mismatch');
  });

  test('that is not valid is refused all the same', async () => {
    const request = fresh();
    await hit('echo', request);
    const refused = await millrace.predict('echo', request, { 'idempotency-key': '' });
    expect([refused.status, refused.body.code]).toEqual([400, 'invalid_header']);
  });
});

describe('with PUBLIC_URL', () => {
  test('each link of a prediction is a URL with the path prefix', async () => {
    const base = 'https://host.example/ml';
    const config = loadConfig({ ...millrace.env, PUBLIC_URL: `${base}/` });
    const api = await startApi(config, pino({ level: 'silent' }));
    try {
      const post = (body: object, headers = {}) =>
        fetch(`${api.url}/v1/models/echo/predictions`, {
          method: 'POST',
          headers: { 'content-type': 'application/json', ...headers },
          body: JSON.stringify(body),
        });
      const request = fresh();
      const made = await post(request);
      const body = (await made.json()) as Linked;
      const self = `${base}/v1/predictions/${body.id}`;
      expect(made.headers.get('location')).toBe(self);
      expect(body.urls).toEqual({ self, events: `${self}/events`, cancel: `${self}/cancel`, retry: null });
      await expect
        .poll(async () => {
          const again = await post(request, WAIT);
          const { id, urls } = (await again.json()) as Linked;
          const own = `${base}/v1/predictions/${id}`;
          // The worker has another public URL: its stored JSON is not sent.
          expect(urls).toEqual({ self: own, events: `${own}/events`, cancel: null, retry: null });
          expect(again.headers.get('content-location')).toBe(own);
          return isHit(again.headers.get('cache-status'));
        })
        .toBe(true);
      const list = await fetch(`${api.url}/v1/predictions?limit=1`);
      expect(list.headers.get('link')).toContain(`<${base}/v1/predictions?`);
    } finally {
      await api.close(5_000);
    }
  });
});

describe('the links of actions', () => {
  test('exist only where the action is possible', async () => {
    const held = await holdWorker(millrace);
    const { body } = await millrace.predict('slow', { input: { x: [730_000] } });
    const self = `/v1/predictions/${body.id}`;
    expect(body.urls).toMatchObject({ cancel: `${self}/cancel`, retry: null });
    const canceled = await millrace.request(body.urls.cancel, { method: 'POST' });
    expect(canceled.body.urls).toMatchObject({ cancel: null, retry: `${self}/retry` });
    await held.release();
    await millrace.request(canceled.body.urls.retry, { method: 'POST' });
    const ended = await millrace.request(`${self}?wait=30`);
    expect(ended.body.urls).toMatchObject({ cancel: null, retry: null });
  });
});
