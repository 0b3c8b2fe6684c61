/** Tests that reads and writes of many results share commands, and have the same outcome as alone. */
import { randomBytes } from 'node:crypto';
import { createResultCache, JOINED_COMMANDS } from '@millrace/shared/cache/result-cache';
import { encodeResult } from '@millrace/shared/cache/result-value';
import { isCluster, waitForRedis } from '@millrace/shared/redis/connection';
import { keysFor } from '@millrace/shared/redis/keys';
import { afterAll, beforeEach, expect, test } from 'vitest';
import { gatherReads } from '../../apps/api/src/cache/gathered-reads.ts';
import { testPrefix } from '../support/test-prefix.ts';
import { connectTestRedis, keysOf } from '../support/test-redis.ts';

const prefix = testPrefix();
const keys = keysFor(prefix);
const redis = connectTestRedis();
const failures: unknown[] = [];
let bytesRead = 0;
let bytesWritten = 0;
const cache = createResultCache(redis, keys, {
  onError: (error) => failures.push(error),
  onDamaged: () => failures.push('damaged'),
  gather: gatherReads,
  onBytes(direction, bytes) {
    if (direction === 'read') bytesRead += bytes;
    else bytesWritten += bytes;
  },
});
beforeEach(() => {
  failures.length = 0;
  bytesRead = 0;
  bytesWritten = 0;
});
afterAll(async () => {
  for (const key of await keysOf(redis, prefix)) await redis.del(key);
  redis.disconnect();
});

const TTL_MS = 60_000;

function put(output: string, epoch = 0) {
  const cacheKey = randomBytes(32).toString('hex');
  const value = encodeResult({ cacheKey, storedAt: 1, freshUntil: 2, output, body: null });
  return { cacheKey, epoch, value, ttlMs: TTL_MS };
}

const outputOf = async ({ cacheKey, epoch }: { cacheKey: string; epoch: number }) =>
  (await cache.get(cacheKey, epoch))?.output.toString() ?? null;

test('results that are written together are read by many callers at once', async () => {
  const long = JSON.stringify('z'.repeat(100_000));
  const outputs = [...Array.from({ length: 500 }, (_, n) => `[${n},"ä"]`), long];
  const puts = outputs.map((output, n) => put(output, n % 3));
  await cache.putMany(puts);
  expect(bytesWritten).toBe(puts.reduce((sum, { value }) => sum + value.length, 0));
  const absent = put('0');
  expect(await Promise.all([...puts, absent].map(outputOf))).toEqual([...outputs, null]);
  expect(bytesRead).toBeGreaterThanOrEqual(bytesWritten);
  const [first] = puts;
  const ttlMs = await redis.pttl(keys.result(first?.cacheKey ?? ''));
  expect([ttlMs > TTL_MS - 30_000, ttlMs <= TTL_MS]).toEqual([true, true]);
  expect(failures).toEqual([]);
});

test('a command that serves many callers is sent without a pipeline, except in a cluster', async () => {
  const piped = connectTestRedis('producer', { autoPipeline: { except: JOINED_COMMANDS } });
  await waitForRedis(piped, 'Redis', 60_000);
  const onError = (error: unknown) => failures.push(error);
  const own = createResultCache(piped, keys, { onError, onDamaged() {}, gather: gatherReads });
  const [one, two] = [put('1'), put('2')];
  const writing = own.putMany([one, two]);
  const inPipelines = isCluster(piped) ? 2 : 0;
  expect(piped.autoPipelineQueueSize).toBe(inPipelines);
  await writing;
  const reading = [own.get(one.cacheKey, 0), own.getMany([one.cacheKey, two.cacheKey], 0)];
  expect(piped.autoPipelineQueueSize > 0).toBe(isCluster(piped));
  await Promise.all(reading);
  const other = piped.exists(keys.result(one.cacheKey));
  expect(piped.autoPipelineQueueSize).toBe(1);
  expect([await other, failures]).toEqual([1, []]);
  piped.disconnect();
});

test('an empty list is written without a command', async () => {
  await cache.putMany([]);
  expect([failures, bytesWritten]).toEqual([[], 0]);
});

test('damaged values and keys of another type among many reads are misses, and are counted and deleted', async () => {
  const puts = Array.from({ length: 20 }, (_, n) => put(`${n}`));
  await cache.putMany(puts);
  const names = puts.map(({ cacheKey }) => keys.result(cacheKey));
  await redis.set(names[3] ?? '', 'damaged');
  await redis.del(names[7] ?? '');
  await redis.lpush(names[7] ?? '', 'a list');
  const read = await Promise.all(puts.map(outputOf));
  expect(read).toEqual(puts.map((_, n) => (n === 3 || n === 7 ? null : `${n}`)));
  expect(failures).toEqual(['damaged', 'damaged']);
  await expect.poll(() => redis.exists(names[3] ?? '', names[7] ?? '')).toBe(0);
});

test('while Redis is away, each of many callers has a miss', async () => {
  const away = connectTestRedis();
  const errors: unknown[] = [];
  const missing = createResultCache(away, keys, {
    onError: (error) => errors.push(error),
    onDamaged() {},
    gather: gatherReads,
  });
  await away.ping();
  away.disconnect();
  const puts = Array.from({ length: 20 }, (_, n) => put(`${n}`));
  const read = await Promise.all(puts.map(({ cacheKey }) => missing.get(cacheKey, 0)));
  expect(read).toEqual(puts.map(() => null));
  expect(errors).toHaveLength(20);
  await missing.putMany(puts);
  expect(errors).toHaveLength(21);
});
