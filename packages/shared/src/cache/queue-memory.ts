/** The memory of the queue Redis: what an operator should hear of at the start, and how cached results stay out of its way. */

import { type Connection, serversOf, waitForRedis } from '../redis/connection.ts';
import { memoryShare } from '../redis/memory-use.ts';
import type { ResultCache } from './result-cache.ts';

export interface QueueMemoryOptions {
  /** See `holdsCache`. */
  holdsCache: boolean;
  /** Percent of the memory at which new work is refused. */
  maxMemoryShare: number;
}

const CACHE_WAIT_MS = 1_000;

/**
 * Whether the cache is on a server of the queue, however its URL is written: another name, another database number. A
 * cache that does not answer is taken for one of its own.
 */
export async function holdsCache(redis: Connection, cacheRedis: Connection): Promise<boolean> {
  try {
    await waitForRedis(cacheRedis, 'The cache Redis', CACHE_WAIT_MS);
    const [queue, cache] = await Promise.all([redis, cacheRedis].map(runIds));
    return cache?.some((id) => queue?.includes(id)) ?? false;
  } catch {
    return false;
  }
}

async function runIds(redis: Connection): Promise<string[]> {
  const infos = await Promise.all(serversOf(redis).map((server) => server.info('server')));
  return infos.flatMap((info) => /^run_id:(\w+)/m.exec(info)?.[1] ?? []);
}

/** One sentence for each setting of the queue Redis that works and should be another. */
export async function queueMemoryAdvice(redis: Connection, options: QueueMemoryOptions): Promise<string[]> {
  const { holdsCache, maxMemoryShare } = options;
  const infos = await Promise.all(serversOf(redis).map((server) => server.info('memory')));
  const advice: string[] = [];
  if (infos.some((info) => /^maxmemory:0\r?$/m.test(info)))
    advice.push(
      'The queue Redis (REDIS_URL) has no maxmemory, so new work is refused only when its data takes ' +
        `${maxMemoryShare} % of the memory of its machine. Set maxmemory in its configuration, and keep maxmemory-policy noeviction.`,
    );
  if (holdsCache)
    advice.push(
      'Cached results share the queue Redis, which cannot evict them: results are cached only while the data of the server ' +
        `takes less than ${Math.round(cacheShare(maxMemoryShare) * 100)} % of its memory. Set CACHE_REDIS_URL to a second ` +
        'Redis with a maxmemory and maxmemory-policy allkeys-lfu.',
    );
  return advice;
}

/** Half of what the queue may take: beyond it results that nobody asked for again would crowd out accepted work. */
const cacheShare = (maxMemoryShare: number): number => maxMemoryShare / 200;
const LOOK_EVERY_MS = 1_000;
const LOOK_EVERY_BYTES = 2_097_152;

/** The same cache, which stores nothing more while the queue Redis that it shares is filled too far. */
export function cacheInQueueMemory(cache: ResultCache, redis: Connection, maxMemoryShare: number): ResultCache {
  const most = cacheShare(maxMemoryShare);
  let hasRoom = false;
  let lookedAt = Number.NEGATIVE_INFINITY;
  let bytes = 0;
  let looking: Promise<void> | undefined;

  function look(): Promise<void> {
    looking ??= memoryShare(redis)
      .then(
        (share) => {
          hasRoom = share < most;
        },
        // A Redis that does not answer takes no result either.
        () => {},
      )
      .finally(() => {
        lookedAt = performance.now();
        bytes = 0;
        looking = undefined;
      });
    return looking;
  }

  return {
    get: (cacheKey, epoch) => cache.get(cacheKey, epoch),
    getMany: (cacheKeys, epoch) => cache.getMany(cacheKeys, epoch),
    async put(cacheKey, epoch, value, ttlMs) {
      // Bounded by bytes too: within a second large results could fill what is left.
      if (performance.now() - lookedAt > LOOK_EVERY_MS || bytes > LOOK_EVERY_BYTES) await look();
      if (!hasRoom) return;
      bytes += value.length;
      await cache.put(cacheKey, epoch, value, ttlMs);
    },
  };
}
