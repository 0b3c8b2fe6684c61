/** Waits for a prediction in the cache: an API process stores the copy of a hit beside the response. */
import { connectRedis } from '@millrace/shared/redis/connection';
import { expect } from 'vitest';
import type { Millrace } from './millrace.ts';
import { keysOf } from './test-redis.ts';

/** Resolves when the cache has the prediction of this id as the response to a hit. No request is sent: each hit before would store another copy. */
export async function untilStored({ config, keys }: Pick<Millrace, 'config' | 'keys'>, id: string): Promise<void> {
  const redis = connectRedis(config.redisUrl, 'blocking', { cluster: config.redisCluster });
  const has = async (name: string) => (await redis.getBuffer(name))?.includes(id) === true;
  const stored = async () => (await Promise.all((await keysOf(redis, keys.result(''))).map(has))).includes(true);
  try {
    await expect.poll(stored).toBe(true);
  } finally {
    redis.disconnect();
  }
}
