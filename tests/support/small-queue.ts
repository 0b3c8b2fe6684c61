/** Starts Millrace on a queue Redis with 60 MB of memory, with a model whose outputs have 2 MB each. */
import { Redis } from 'ioredis';
import { afterAll, beforeAll, inject } from 'vitest';
import { type Millrace, startMillrace } from './millrace.ts';
import { makeModelFolder } from './model-folder.ts';
import { type OwnRedis, startOwnRedis } from './own-redis.ts';

/** Number of predictions whose outputs need twice the memory of the queue Redis. */
export const PREDICTIONS = 60;

export interface SmallQueue {
  redis: Redis;
  millrace: Millrace;
}

/** Starts the servers before all tests of a file, and stops them afterwards. `onStart` receives the servers. */
export function useSmallQueue(onStart: (queue: SmallQueue) => void | Promise<void>): void {
  let server: OwnRedis | undefined;
  let redis: Redis | undefined;
  let folder: Awaited<ReturnType<typeof makeModelFolder>> | undefined;
  let millrace: Millrace | undefined;
  beforeAll(async () => {
    server = await startOwnRedis(['maxmemory 60mb']);
    redis = new Redis(server.url);
    folder = await makeModelFolder(['large']);
    millrace = await startMillrace({
      modelsDir: folder.dir,
      models: ['large'],
      env: { REDIS_URL: server.url, CACHE_REDIS_URL: inject('redisUrl'), REDIS_CLUSTER: 'false' },
    });
    await onStart({ redis, millrace });
  });
  afterAll(async () => {
    await millrace?.close();
    redis?.disconnect();
    await server?.stop();
    await folder?.remove();
  });
}
