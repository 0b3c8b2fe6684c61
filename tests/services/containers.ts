/** The Redis and the Postgres of a test run, in containers. */
import { spawn } from 'node:child_process';
import path from 'node:path';
import type { GivenServers, TestServers } from './servers.ts';

export const images = { redis: 'redis:8-bookworm', postgres: 'postgres:17-bookworm' };
const redisPort = 6379;

/**
 * Starts servers in containers, like docker-compose. The containers end with this process, however the process ends.
 */
export async function startContainers(given: GivenServers): Promise<TestServers> {
  // reap.ts removes the containers without a third image, which may be unavailable. testcontainers reads the variable
  // when it is loaded.
  process.env.TESTCONTAINERS_RYUK_DISABLED ??= 'true';
  const [redis, postgres] = await Promise.all([
    given.redisUrl ? undefined : startRedisContainer(),
    given.databaseUrl ? undefined : startPostgresContainer(),
  ]);
  const started = [redis, postgres].filter((container) => container !== undefined);
  const reaper = startReaper(started.map((container) => container.getId()));
  return {
    redisUrl: given.redisUrl ?? `redis://${redis!.getHost()}:${redis!.getMappedPort(redisPort)}`,
    databaseUrl: given.databaseUrl ?? postgres!.getConnectionUri(),
    stop: async () => {
      await Promise.all(started.map((container) => container.stop()));
      reaper.stdin.end();
    },
  };
}

function startReaper(ids: string[]) {
  const program = path.join(import.meta.dirname, 'reap.ts');
  const reaper = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', program, ...ids], {
    detached: true,
    stdio: ['pipe', 'ignore', 'ignore'],
  });
  // The reaper waits for this process, and this process does not wait for the reaper.
  reaper.unref();
  return reaper;
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
