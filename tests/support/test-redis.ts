/** Connections to the run's Redis, which is one server or a cluster. */
import { type Connection, type ConnectOptions, connectRedis } from '@millrace/shared/redis/connection';
import { Cluster } from 'ioredis';
import { inject } from 'vitest';

/** Environment variables that connect a process to the run's Redis. */
export const redisEnv = (): Record<string, string> => ({
  REDIS_URL: inject('redisUrl'),
  REDIS_CLUSTER: String(inject('redisCluster')),
});

export const connectTestRedis = (
  kind: 'producer' | 'blocking' = 'blocking',
  options: Pick<ConnectOptions, 'timeoutMs' | 'autoPipeline'> = {},
) => connectRedis(inject('redisUrl'), kind, { ...options, cluster: inject('redisCluster') });

/** Every key that starts with `prefix`, on all servers. */
export async function keysOf(redis: Connection, prefix: string): Promise<string[]> {
  const servers = redis instanceof Cluster ? redis.nodes('master') : [redis];
  return (await Promise.all(servers.map((server) => server.keys(`${prefix}*`)))).flat();
}
