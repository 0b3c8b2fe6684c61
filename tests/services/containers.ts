import { spawn } from 'node:child_process';
import path from 'node:path';
import type { GivenServers, TestServers } from './servers.ts';

export const images = { redis: 'redis:8-bookworm', postgres: 'postgres:17-bookworm' };
const redisPort = 6379;

/** Servers in containers, as docker-compose has them. They go with this process, however it ends. */
export async function startContainers(given: GivenServers): Promise<TestServers> {
  // Ours (reap.ts) needs no third image, which may not be to be had. Read by testcontainers when it is loaded.
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
  // It waits for us, not we for it.
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
