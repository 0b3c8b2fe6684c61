/** A store that stalls keeps its connections open and sends no reply. Only the work that needs the store may wait. */
import pino from 'pino';
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { type RunningApi, startApi } from '../../apps/api/src/server.ts';
import { startStallingProxy } from '../postgres/stalling-proxy.ts';
import { type Millrace, startMillrace } from '../support/millrace.ts';
import { makeModelFolder } from '../support/model-folder.ts';
import { type OwnRedis, startOwnRedis } from '../support/own-redis.ts';

type Proxy = Awaited<ReturnType<typeof startStallingProxy>>;

let cacheRedis: OwnRedis;
let cache: Proxy;
let queue: Proxy;
let millrace: Millrace;
let api: RunningApi;
let folder: Awaited<ReturnType<typeof makeModelFolder>>;

beforeAll(async () => {
  [cacheRedis, folder] = await Promise.all([
    startOwnRedis(['maxmemory 64mb', 'maxmemory-policy allkeys-lfu']),
    makeModelFolder(['rows']),
  ]);
  cache = await startStallingProxy(cacheRedis.url);
  queue = await startStallingProxy(inject('redisUrl'));
  millrace = await startMillrace({
    modelsDir: folder.dir,
    models: ['rows'],
    // A command on a stalled store waits for as long as the setting allows: nothing that waits for such a command ends in this test.
    env: { CACHE_REDIS_URL: cache.url, STORE_TIMEOUT_MS: '60000' },
  });
  const own = { ...millrace.config, redisUrl: queue.url };
  api = await startApi(own, pino({ level: 'silent' }));
});
afterAll(async () => {
  cache?.resume();
  queue?.resume();
  await api?.close(5_000);
  await millrace?.close();
  await Promise.all([cache?.close(), queue?.close()]);
  await cacheRedis?.stop();
  await folder?.remove();
});

let used = 0;
const fresh = () => {
  used += 1;
  return { input: { x: [[used, 2]] } };
};

test('the engines go on while the cache Redis stalls: no slot waits for a write to the cache', async () => {
  cache.stall();
  // The worker has two slots. Each prediction follows the end of the prediction before, so no two share a run.
  for (let n = 0; n < 6; n += 1) {
    const { status, body } = await millrace.predict('rows', fresh(), { prefer: 'wait=30' });
    expect([status, body.status]).toEqual([200, 'succeeded']);
  }
  cache.resume();
});

test('the metrics come while the queue Redis stalls, without the numbers of the queue', async () => {
  const metrics = async () => (await fetch(`${api.url}/metrics`)).text();
  await expect.poll(metrics).toContain('millrace_queue_waiting{model="rows"} 0');
  queue.stall();
  const text = await metrics();
  expect(text).toContain('millrace_api_waiting 0');
  expect(text).not.toContain('millrace_queue_waiting{');
  queue.resume();
  await expect.poll(metrics).toContain('millrace_queue_oldest_seconds{model="rows",priority="normal"} 0');
});
