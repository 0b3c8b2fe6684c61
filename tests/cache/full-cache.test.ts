/**
 * Tests a full cache Redis that evicts nothing: predictions are computed, and the responses state that results were not
 * stored.
 */
import { Redis } from 'ioredis';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Millrace, startMillrace } from '../support/millrace.ts';
import { makeModelFolder } from '../support/model-folder.ts';
import { type OwnRedis, startOwnRedis } from '../support/own-redis.ts';
import { untilCached } from '../support/until-cached.ts';

let server: OwnRedis;
let folder: Awaited<ReturnType<typeof makeModelFolder>>;
let millrace: Millrace;
let redis: Redis;

beforeAll(async () => {
  server = await startOwnRedis([]);
  redis = new Redis(server.url);
  folder = await makeModelFolder(['rows']);
  const env = { CACHE_REDIS_URL: server.url, REDIS_CLUSTER: 'false' };
  millrace = await startMillrace({ modelsDir: folder.dir, models: ['rows'], env });
});
afterAll(async () => {
  await millrace?.close();
  redis?.disconnect();
  await server?.stop();
  await folder?.remove();
});

const bodyOf = (x: number) => ({ input: { x: [[x, 3]] } });
const predict = (x: number) => millrace.predict('rows', bodyOf(x), { prefer: 'wait=10' });
const cacheParts = () =>
  Promise.all(
    [millrace.url, millrace.workers[0]?.url].map(async (base) => {
      const response = await fetch(`${base}/readyz`);
      const { parts } = (await response.json()) as { parts: Record<string, string> };
      return [response.status, parts.cache];
    }),
  );

test('a full cache is reported, fails no request, and recovers', async () => {
  expect((await predict(1)).headers.get('cache-status')).toMatch(/^millrace; fwd=miss; stored; key="[0-9a-f]{8}"$/);
  await untilCached(millrace, 'rows', bodyOf(1));
  await redis.config('SET', 'maxmemory', '1mb');
  const sentence = expect.stringContaining('has used all of its maxmemory and takes no writes (OOM). Raise maxmemory');
  await expect.poll(cacheParts, { timeout: 60_000 }).toEqual([
    [200, sentence],
    [200, sentence],
  ]);
  const response = await predict(2);
  expect([response.status, response.headers.get('cache-status')]).toEqual([
    200,
    expect.stringMatching(/^millrace; fwd=miss; stored=\?0; detail=cache-unavailable; key=/),
  ]);
  // Existing entries of the full cache are still served.
  expect((await predict(1)).headers.get('cache-status')).toMatch(/^millrace; hit/);
  expect(await millrace.workers[0]?.metric('millrace_cache_redis_writable')).toBe(0);
  await redis.config('SET', 'maxmemory', '0');
  await expect.poll(cacheParts, { timeout: 60_000 }).toEqual([
    [200, 'ok'],
    [200, 'ok'],
  ]);
  expect((await predict(3)).headers.get('cache-status')).toMatch(/^millrace; fwd=miss; stored; key="[0-9a-f]{8}"$/);
});
