import { images, startContainers } from './containers.ts';
import { startEmbedded } from './embedded.ts';
import { type Engine, findEngine } from './engine.ts';
import type { GivenServers, TestServers } from './servers.ts';

const pullTimeoutMs = 60_000;
// testcontainers' own, which removes containers that a killed run left behind.
const reaperImage = 'testcontainers/ryuk:0.14.0';

/**
 * The servers to test on: those of TEST_REDIS_URL and TEST_DATABASE_URL, else containers where an engine has their
 * images or can get them, else embedded ones. TEST_SERVICES=containers or =embedded leaves no choice.
 */
export async function startTestServers(env: NodeJS.ProcessEnv): Promise<TestServers & { kind: string }> {
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
    const reaper = await engine.provides(reaperImage, pullTimeoutMs);
    return { kind: 'containers', ...(await startContainers(given, { reaper })) };
  }
  if (wish === 'containers') {
    const lack = engine ? `it has not got ${Object.values(images).join(' and ')}` : 'none answers';
    throw new Error(`TEST_SERVICES=containers needs a container engine, and ${lack}.`);
  }
  return { kind: 'embedded', ...(await startEmbedded(given)) };
}

async function providesAll(engine: Engine): Promise<boolean> {
  const provided = await Promise.all(Object.values(images).map((image) => engine.provides(image, pullTimeoutMs)));
  return provided.every(Boolean);
}
