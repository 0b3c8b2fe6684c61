import type { GivenServers, TestServers } from './servers.ts';

export const images = { redis: 'redis:8-bookworm', postgres: 'postgres:17-bookworm' };

/** Servers in containers, as docker-compose has them. Without `reaper`, only `stop` takes them away again. */
export async function startContainers(given: GivenServers, { reaper }: { reaper: boolean }): Promise<TestServers> {
  // Read by testcontainers when it is loaded, which takes a second and is wanted by no other way of testing.
  if (!reaper) process.env.TESTCONTAINERS_RYUK_DISABLED ??= 'true';
  const [redis, postgres] = await Promise.all([
    given.redisUrl ? undefined : startRedisContainer(),
    given.databaseUrl ? undefined : startPostgresContainer(),
  ]);
  return {
    redisUrl: given.redisUrl ?? redis!.getConnectionUrl(),
    databaseUrl: given.databaseUrl ?? postgres!.getConnectionUri(),
    stop: async () => {
      await Promise.all([redis?.stop(), postgres?.stop()]);
    },
  };
}

async function startRedisContainer() {
  const { RedisContainer } = await import('@testcontainers/redis');
  return new RedisContainer(images.redis)
    .withCommand(['redis-server', '--appendonly', 'yes', '--maxmemory-policy', 'noeviction', '--save', ''])
    .start();
}

async function startPostgresContainer() {
  const { PostgreSqlContainer } = await import('@testcontainers/postgresql');
  return new PostgreSqlContainer(images.postgres)
    .withCommand(['postgres', '-c', 'fsync=off', '-c', 'synchronous_commit=off', '-c', 'full_page_writes=off'])
    .start();
}
