import pino from 'pino';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type RunningApi, startApi } from '../../apps/api/src/server.ts';
import { type Millrace, startMillrace } from '../support/millrace.ts';
import { makeModelFolder } from '../support/model-folder.ts';
import { type RedisPair, startRedisPair } from '../support/redis-pair.ts';

let pair: RedisPair;
let millrace: Millrace;
let api: RunningApi;
let folder: Awaited<ReturnType<typeof makeModelFolder>>;
const logged: string[] = [];

beforeAll(async () => {
  [pair, folder] = await Promise.all([startRedisPair(), makeModelFolder(['rows'])]);
  const env = { CACHE_REDIS_URL: pair.url };
  millrace = await startMillrace({ modelsDir: folder.dir, models: ['rows'], env });
  // A second API whose log the test reads.
  api = await startApi(millrace.config, pino({ level: 'info' }, { write: (line: string) => void logged.push(line) }));
});
afterAll(async () => {
  await api?.close(5_000);
  await millrace?.close();
  await pair?.stop();
  await folder?.remove();
});

interface Line {
  fault?: string;
  msg: string;
  store?: string;
}

let used = 0;
const fresh = () => {
  used += 1;
  return { input: { x: [[used, 2]] } };
};
const cacheStatus = async (request: object) =>
  (await millrace.predict('rows', request, { prefer: 'wait=10' })).headers.get('cache-status');
const readiness = async (url: string) => {
  const response = await fetch(`${url}/readyz`);
  const body = (await response.json()) as { status: string; parts: Record<string, string> };
  return { code: response.status, status: body.status, cache: body.parts.cache };
};
const workerUrl = () => millrace.workers[0]?.url as string;
const DEMOTED = 'The cache Redis (CACHE_REDIS_URL) is a read-only replica.';

test('a demoted cache Redis is reported, and no response claims that its result was stored', async () => {
  const known = fresh();
  expect(await cacheStatus(known)).toMatch(/^millrace; fwd=miss; stored; key="[0-9a-f]{8}"$/);
  await expect.poll(() => cacheStatus(known)).toMatch(/^millrace; hit/);
  await pair.demoteFirst();
  for (const url of [millrace.url, workerUrl()]) {
    await expect.poll(async () => (await readiness(url)).status, { timeout: 60_000 }).toBe('degraded');
    expect(await readiness(url)).toMatchObject({ code: 200, cache: expect.stringContaining(DEMOTED) });
    expect(await (await fetch(`${url}/metrics`)).text()).toContain('millrace_cache_redis_writable 0');
  }
  expect(await cacheStatus(fresh())).toMatch(
    /^millrace; fwd=miss; stored=\?0; detail=cache-unavailable; key="[0-9a-f]{8}"$/,
  );
  // The data of a replica can still be read.
  expect(await cacheStatus(known)).toMatch(/^millrace; hit/);
  // The log has each change once. On a busy machine a probe can time out, so that the replica is reported again after the time-out.
  const faults = () =>
    logged.map((line) => JSON.parse(line) as Line).filter(({ store }) => store === 'CACHE_REDIS_URL');
  await expect.poll(() => faults().some(({ fault }) => fault?.includes(DEMOTED))).toBe(true);
  const repeated = faults().filter(
    ({ msg, fault }, at, all) => msg === all[at - 1]?.msg && fault === all[at - 1]?.fault,
  );
  expect(repeated).toEqual([]);
});

test('the new primary is used as soon as the address leads to it', async () => {
  pair.leadToSecond();
  for (const url of [millrace.url, workerUrl()])
    await expect.poll(() => readiness(url), { timeout: 60_000 }).toMatchObject({ code: 200, status: 'ready' });
  const request = fresh();
  await expect.poll(() => cacheStatus(request)).toMatch(/^millrace; (hit|fwd=miss; stored; key)/);
  await expect.poll(() => cacheStatus(request)).toMatch(/^millrace; hit/);
  await expect.poll(() => logged.some((line) => line.includes('The store takes writes again.'))).toBe(true);
});
