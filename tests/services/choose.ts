/** Chooses the Redis and the Postgres of a test run. */
import { images, startContainers } from './containers.ts';
import { startEmbedded } from './embedded.ts';
import { type Engine, findEngine } from './engine.ts';
import { startTestCluster } from './redis-cluster.ts';
import type { GivenServers, TestServers } from './servers.ts';

const pullTimeoutMs = 60_000;

/**
 * Starts the servers for the tests: the servers of TEST_REDIS_URL and TEST_DATABASE_URL, otherwise containers where a
 * container engine has or can pull the images, otherwise embedded servers. TEST_SERVICES=containers or
 * TEST_SERVICES=embedded forces the choice. TEST_REDIS=cluster starts a Redis Cluster of three masters instead of any
 * other Redis.
 */
export async function startTestServers(env: NodeJS.ProcessEnv): Promise<TestServers & { kind: string }> {
  if (env.TEST_REDIS === 'cluster') return startOnCluster(env);
  const given: GivenServers = {
    redisUrl: env.TEST_REDIS_URL || undefined,
    databaseUrl: env.TEST_DATABASE_URL || undefined,
  };
  const { redisUrl, databaseUrl } = given;
  if (redisUrl && databaseUrl) return { kind: 'given', redisUrl, databaseUrl, stop: async () => {} };
  const wish = env.TEST_SERVICES || 'any';
  if (!['any', 'containers', 'embedded'].includes(wish)) {
    throw new Error(`TEST_SERVICES must be containers or embedded, and is ${wish}.`);
  }
  const engine = wish === 'embedded' ? undefined : await findEngine(env);
  if (engine && (await providesAll(engine))) {
    return { kind: 'containers', ...(await startContainers(given)) };
  }
  if (wish === 'containers') {
    const lack = engine ? `the engine lacks ${Object.values(images).join(' and ')}` : 'no engine responds';
    throw new Error(`TEST_SERVICES=containers needs a container engine, but ${lack}.`);
  }
  return { kind: 'embedded', ...(await startEmbedded(given)) };
}

async function startOnCluster(env: NodeJS.ProcessEnv): Promise<TestServers & { kind: string }> {
  const cluster = await startTestCluster();
  try {
    const { TEST_REDIS: _, ...others } = env;
    const servers = await startTestServers({ ...others, TEST_REDIS_URL: cluster.url });
    const stop = async () => {
      await Promise.all([servers.stop(), cluster.stop()]);
    };
    return { ...servers, kind: `${servers.kind}, Redis Cluster`, redisCluster: true, stop };
  } catch (error) {
    await cluster.stop();
    throw error;
  }
}

async function providesAll(engine: Engine): Promise<boolean> {
  const provided = await Promise.all(Object.values(images).map((image) => engine.provides(image, pullTimeoutMs)));
  return provided.every(Boolean);
}
