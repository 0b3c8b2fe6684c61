import pino from 'pino';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startApi } from '../../apps/api/src/server.ts';
import { type Millrace, startMillrace } from '../support/millrace.ts';
import { makeModelFolder } from '../support/model-folder.ts';
import { type RedisPair, startRedisPair } from '../support/redis-pair.ts';

let pair: RedisPair;
let millrace: Millrace;
let folder: Awaited<ReturnType<typeof makeModelFolder>>;
let used = 0;

beforeAll(async () => {
  [pair, folder] = await Promise.all([startRedisPair(), makeModelFolder(['rows'])]);
  const env = { REDIS_URL: pair.url, REDIS_CLUSTER: 'false', STORE_TIMEOUT_MS: '700' };
  millrace = await startMillrace({ modelsDir: folder.dir, models: ['rows'], env });
});
afterAll(async () => {
  await millrace?.close();
  await pair?.stop();
  await folder?.remove();
});

const nextInput = () => {
  used += 1;
  return { input: { x: [[used, 1]] } };
};
const predict = (headers: Record<string, string> = {}) => millrace.predict('rows', nextInput(), headers);
const waits = { prefer: 'wait=5' };
const readiness = async (url: string) => {
  const response = await fetch(`${url}/readyz`);
  const body = (await response.json()) as { status: string; parts: Record<string, string> };
  return { code: response.status, ...body };
};
const workerUrl = () => millrace.workers[0]?.url as string;

describe('a queue Redis that was demoted while its connections stay open', () => {
  test('is left for the new primary without manual action', async () => {
    // Opens long-lived connections of every kind: event listeners, blocked consumers and subscribers.
    expect((await predict(waits)).status).toBe(200);
    const connections = pair.proxy.connections;
    pair.leadToSecond();
    await pair.demoteFirst();
    // From now on, only Millrace itself ends connections to the first server.
    await expect.poll(async () => (await predict(waits)).status, { timeout: 60_000 }).toBe(200);
    const promised = await predict();
    expect(promised.status).toBe(202);
    await expect
      .poll(async () => (await millrace.request(`/v1/predictions/${promised.body.id}?wait=5`)).body.status)
      .toBe('succeeded');
    await expect.poll(async () => (await readiness(millrace.url)).status).toBe('ready');
    await expect.poll(async () => (await readiness(workerUrl())).status).toBe('ready');
    // Subscribers and readers get no error from a replica. They have also left the first server.
    await expect.poll(async () => (await clientsOf(pair.first)).length).toBe(0);
    expect((await clientsOf(pair.second)).length).toBeGreaterThan(connections / 2);
  });

  test('is reported by API and worker while the address leads to the demoted server', async () => {
    // The second server is the primary now, and the proxy leads there. The server is demoted, and the address stays.
    await pair.first.call('REPLICAOF', 'NO', 'ONE');
    const [host, port] = ['127.0.0.1', String(pair.first.options.port)];
    await pair.second.call('REPLICAOF', host, port);
    const sentence = 'The queue Redis (REDIS_URL) is a read-only replica. Expected the primary.';
    for (const url of [millrace.url, workerUrl()]) {
      await expect.poll(async () => (await readiness(url)).parts.redis, { timeout: 60_000 }).toContain(sentence);
      // The API still reads results of the cache from the replica, and a worker takes no work.
      expect((await readiness(url)).code).toBe(url === millrace.url ? 200 : 503);
    }
    const metrics = await (await fetch(`${millrace.url}/metrics`)).text();
    expect(metrics).toContain('millrace_queue_redis_writable 0');
    const refused = await predict(waits);
    expect(refused.status).toBe(503);
    expect(refused.body.detail).toBe('Redis takes no writes now (READONLY); nothing was accepted.');
    expect(refused.headers.get('retry-after')).toBe('1');
    const promise = await predict();
    expect([promise.status, promise.body.code]).toEqual([503, 'store_unavailable']);
    await expect(startApi(millrace.config, pino({ level: 'silent' }))).rejects.toThrow(
      'The queue Redis (REDIS_URL) cannot be used: the server is a read-only replica',
    );
    // The same server accepts writes again.
    await pair.second.call('REPLICAOF', 'NO', 'ONE');
    await expect.poll(async () => (await predict(waits)).status, { timeout: 60_000 }).toBe(200);
    await expect.poll(async () => (await readiness(workerUrl())).code).toBe(200);
  });
});

/** The connections of Millrace to a server, by name. */
async function clientsOf(redis: RedisPair['first']): Promise<string[]> {
  const list = String(await redis.client('LIST'));
  return list.split('\n').filter((line) => line.includes('name=millrace-'));
}
