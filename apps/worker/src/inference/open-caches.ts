/** Opens the cache Redis: results, their writes in the background, and queries. */

import { CacheDamage } from '@millrace/shared/cache/damage';
import { cacheInQueueMemory, holdsCache, queueMemoryAdvice } from '@millrace/shared/cache/queue-memory';
import { ReadThrough } from '@millrace/shared/cache/read-through';
import { createResultCache, JOINED_COMMANDS, type ResultCache } from '@millrace/shared/cache/result-cache';
import { openRedisStore } from '@millrace/shared/redis/redis-store';
import type { WorkerContext } from '../operations/worker-context.ts';
import { CacheWrites } from './cache-writes.ts';
import { RUN_BYTES } from './run-rows.ts';

/** Most bytes of results on their way to the cache Redis: as many as the largest run. */
const CACHE_WRITE_BYTES = RUN_BYTES;

export interface Caches {
  results: ResultCache;
  writes: CacheWrites;
  readThrough: ReadThrough;
}

export async function openCaches({
  config,
  log,
  keys,
  redis,
  metrics,
  health,
  closers,
}: WorkerContext): Promise<Caches> {
  const cacheStore = openRedisStore({
    config,
    setting: 'CACHE_REDIS_URL',
    process: 'millrace-worker',
    log,
    metrics: metrics.stores,
    consequence: 'The cache Redis takes no writes: results are not cached.',
  });
  closers.push('cache probe', () => cacheStore.close());
  health.check('cache', () => cacheStore.probe.prove().then(() => 'ok'));
  metrics.gauge('millrace_cache_redis_writable', 'Whether the cache Redis took the last write: 1 or 0.', () =>
    Number(cacheStore.probe.proven),
  );
  const timeoutMs = config.storeTimeoutMs;
  const autoPipeline = { except: JOINED_COMMANDS };
  const cacheRedis = cacheStore.connect('producer', { timeoutMs, name: 'millrace-worker-cache', autoPipeline });
  closers.push('cache', () => cacheRedis.disconnect());
  const largeCacheRedis = cacheStore.connect('producer', { timeoutMs, name: 'millrace-worker-cache-large' });
  closers.push('cache for large values', () => largeCacheRedis.disconnect());
  const writes = new CacheWrites({
    limitBytes: CACHE_WRITE_BYTES,
    isWritable: () => cacheStore.probe.proven,
    onSkipped: (results) => metrics.stores.skipped('cache', 'put', results),
  });
  closers.push('cache writes', () => writes.close());
  const damage = new CacheDamage(log);
  metrics.counterBy(
    { name: 'millrace_cache_damaged_total', help: 'Damaged values found on the cache Redis.', label: 'kind' },
    () => damage.counts,
  );
  const results = createResultCache(cacheRedis, keys, {
    onError(error) {
      metrics.stores.failed('cache', 'put', error);
      log.debug({ err: error }, 'a result was not cached');
    },
    onDamaged: () => damage.found('result'),
    onBytes: (direction, bytes) => metrics.stores.cacheBytes(direction, bytes),
    large: largeCacheRedis,
  });
  const { maxMemoryShare } = config;
  const isShared = await holdsCache(redis, cacheRedis);
  for (const sentence of await queueMemoryAdvice(redis, { holdsCache: isShared, maxMemoryShare })) log.warn(sentence);
  const readThrough = new ReadThrough({
    redis: cacheRedis,
    keys,
    ttlMs: config.queryTtlMs,
    onDamaged: () => damage.found('query'),
  });
  closers.push('read-through', () => readThrough.close());
  return { results: isShared ? cacheInQueueMemory(results, redis, maxMemoryShare) : results, writes, readThrough };
}
