import type { GivenServers, TestServers } from './servers.ts';

export const images = { redis: 'redis:8-bookworm', postgres: 'postgres:17-bookworm' };
const redisPort = 6379;

/** Servers in containers, as docker-compose has them. Without `reaper`, only `stop` takes them away again. */
export async function startContainers(given: GivenServers, { reaper }: { reaper: boolean }): Promise<TestServers> {
  // Read by testcontainers when it is loaded, which takes a second and is wanted by no other way of testing.
  if (!reaper) process.env.TESTCONTAINERS_RYUK_DISABLED ??= 'true';
  const [redis, postgres] = await Promise.all([
    given.redisUrl ? undefined : startRedisContainer(),
    given.databaseUrl ? undefined : startPostgresContainer(),
  ]);
  return {
    redisUrl: given.redisUrl ?? `redis://${redis!.getHost()}:${redis!.getMappedPort(redisPort)}`,
    databaseUrl: given.databaseUrl ?? postgres!.getConnectionUri(),
    stop: async () => {
      await Promise.all([redis?.stop(), postgres?.stop()]);
    },
  };
}

async function startRedisContainer() {
  const { GenericContainer, Wait } = await import('testcontainers');
  return new GenericContainer(images.redis)
    .withExposedPorts(redisPort)
    .withCommand(['redis-server', '--appendonly', 'yes', '--maxmemory-policy', 'noeviction', '--save', ''])
    .withWaitStrategy(Wait.forLogMessage('Ready to accept connections'))
    .start();
}

async function startPostgresContainer() {
  const { PostgreSqlContainer } = await import('@testcontainers/postgresql');
  return new PostgreSqlContainer(images.postgres)
    .withCommand(['postgres', '-c', 'fsync=off', '-c', 'synchronous_commit=off', '-c', 'full_page_writes=off'])
    .start();
}
