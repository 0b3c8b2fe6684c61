/**
 * Tests one Redis for queue and cache: the start reports the shared Redis, and cached results leave room for accepted
 * work.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { type Guard, startGuard } from '@millrace/local/process/guard';
import { findOrInstallRedis } from '@millrace/local/redis/program';
import { type LocalRedis, limitMemory, startRedis, usedMemory } from '@millrace/local/redis/server';
import { cacheInQueueMemory, holdsCache, queueMemoryAdvice } from '@millrace/shared/cache/queue-memory';
import { createResultCache } from '@millrace/shared/cache/result-cache';
import { encodeResult } from '@millrace/shared/cache/result-value';
import { type Connection, connectRedis } from '@millrace/shared/redis/connection';
import { keysFor } from '@millrace/shared/redis/keys';
import { memoryShare } from '@millrace/shared/redis/memory-use';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { testPrefix } from '../support/test-prefix.ts';

const MIB = 1_048_576;
let dir = '';
let guard: Guard;
let server: LocalRedis;
let redis: Connection;
const connections: Connection[] = [];
const connect = (url: string) => {
  const connection = connectRedis(url, 'blocking');
  connections.push(connection);
  return connection;
};
beforeAll(async () => {
  dir = await mkdtemp(path.join(tmpdir(), 'millrace-memory-'));
  guard = startGuard();
  const program = await findOrInstallRedis(console.log);
  const files = { dataDir: path.join(dir, 'redis'), logFile: path.join(dir, 'redis.log') };
  server = await startRedis({ program, password: 'secret', guard, ...files });
  redis = connect(server.url);
});
afterAll(async () => {
  for (const connection of connections) connection.disconnect();
  await server.part.stop();
  await guard.close();
  await rm(dir, { recursive: true });
});

test('a shared server is detected for any spelling of its URL, and an unreachable cache counts as separate', async () => {
  const other = new URL(server.url);
  other.hostname = 'localhost';
  other.pathname = '/3';
  expect(await holdsCache(redis, connect(other.href))).toBe(true);
  expect(await holdsCache(redis, connect('redis://127.0.0.1:1'))).toBe(false);
});

test('a queue Redis without maxmemory or with the cache in it is reported with the next step', async () => {
  const [first, ...more] = await queueMemoryAdvice(redis, { holdsCache: false, maxMemoryShare: 70 });
  expect(first).toMatch(/^The queue Redis \(REDIS_URL\) has no maxmemory, .* 70 % .* Set maxmemory/);
  expect(more).toEqual([]);
  // Without a maxmemory, the share is computed from the machine's memory.
  expect(await memoryShare(redis)).toBeGreaterThan(0);
  await limitMemory(server, 64 * MIB);
  expect(await queueMemoryAdvice(redis, { holdsCache: false, maxMemoryShare: 70 })).toEqual([]);
  expect(await queueMemoryAdvice(redis, { holdsCache: true, maxMemoryShare: 70 })).toEqual([
    expect.stringMatching(/^Cached results share the queue Redis, .* 35 % .* Set CACHE_REDIS_URL/),
  ]);
});

test("results are cached up to half of the queue's limit, and again when there is room", async () => {
  const used = await usedMemory(server);
  await limitMemory(server, used + 32 * MIB);
  const options = { onError: (error: unknown) => expect(error).toBeUndefined(), onDamaged: () => {} };
  const results = createResultCache(redis, keysFor(testPrefix()), options);
  const cache = cacheInQueueMemory(results, redis, 70);
  const keyOf = (n: number) => n.toString(16).padStart(64, '0');
  const value = (n: number) =>
    encodeResult({
      cacheKey: keyOf(n),
      storedAt: Date.now(),
      freshUntil: Date.now() + 60_000,
      output: `"${'x'.repeat(256 * 1_024)}"`,
      body: null,
    });
  let n = 0;
  const isNextKept = async () => {
    n += 1;
    await cache.put({ cacheKey: keyOf(n), epoch: 0, value: value(n), ttlMs: 60_000 });
    return (await cache.get(keyOf(n), 0)) !== null;
  };
  // 64 MB of results. Beyond the bound, at most one second's worth of results is still written.
  await vi.waitUntil(async () => !(await isNextKept()), { timeout: 60_000, interval: 10 });
  expect(n).toBeGreaterThan(10);
  expect(await memoryShare(redis)).toBeLessThan(0.7);
  await limitMemory(server, used + 1_024 * MIB);
  await vi.waitUntil(() => isNextKept(), { timeout: 60_000, interval: 100 });
});
