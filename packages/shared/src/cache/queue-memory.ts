/**
 * The memory of the queue Redis: advice for the operator at the start, and the limit of cached results that share the memory.
 */

import { type Connection, serversOf, waitForRedis } from '../redis/connection.ts';
import { memoryShare } from '../redis/memory-use.ts';
import type { ResultCache } from './result-cache.ts';

export interface QueueMemoryOptions {
  /** See `holdsCache`. */
  holdsCache: boolean;
  /** The percentage of the memory at which new work is refused. */
  maxMemoryShare: number;
}

const CACHE_WAIT_MS = 1_000;

/**
 * Returns whether the cache is on a server of the queue, also where the two URLs differ by host name or database number.
 * Returns false for a cache that does not respond.
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

/** Returns one sentence for each setting of the queue Redis that works and that the operator should change. */
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

/**
 * Half of the share that the queue may use: above this share, cached results that no caller reads would displace accepted work.
 */
const cacheShare = (maxMemoryShare: number): number => maxMemoryShare / 200;
/** The used memory is read again after this time, and after this many bytes of stored results. */
const READ_EVERY_MS = 1_000;
const READ_EVERY_BYTES = 2_097_152;

/** Returns a cache that stores no result while the used memory of the queue Redis is above the limit. */
export function cacheInQueueMemory(cache: ResultCache, redis: Connection, maxMemoryShare: number): ResultCache {
  const most = cacheShare(maxMemoryShare);
  let hasRoom = false;
  let readAt = Number.NEGATIVE_INFINITY;
  let bytes = 0;
  let reading: Promise<void> | undefined;

  function readMemory(): Promise<void> {
    reading ??= memoryShare(redis)
      .then(
        (share) => {
          hasRoom = share < most;
        },
        // The last known state stays: a Redis that does not respond stores no result.
        () => {},
      )
      .finally(() => {
        readAt = performance.now();
        bytes = 0;
        reading = undefined;
      });
    return reading;
  }

  async function takesBytes(more: number): Promise<boolean> {
    // Limited by bytes too: within a second, large results could fill the rest of the memory.
    if (performance.now() - readAt > READ_EVERY_MS || bytes > READ_EVERY_BYTES) await readMemory();
    if (hasRoom) bytes += more;
    return hasRoom;
  }

  return {
    get: (cacheKey, epoch) => cache.get(cacheKey, epoch),
    getMany: (cacheKeys, epoch) => cache.getMany(cacheKeys, epoch),
    async put(params) {
      if (await takesBytes(params.value.length)) await cache.put(params);
    },
    async putMany(params) {
      if (await takesBytes(params.reduce((sum, { value }) => sum + value.length, 0))) await cache.putMany(params);
    },
  };
}
