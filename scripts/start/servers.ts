import { StartError } from '@millrace/local/process/start-error';

const redisTimeoutMs = 2_000;

/** Refuses a queue Redis that cannot be reached or would lose what it is given, before anything of ours runs. */
export async function checkQueue(redisUrl: string): Promise<void> {
  // Loaded only for a Redis that was brought: it takes longer than to start one of our own.
  const { checkQueueRedis, connectRedis, waitForRedis } = await import('@millrace/shared/redis/connection');
  const redis = connectRedis(redisUrl, 'producer', { timeoutMs: redisTimeoutMs });
  try {
    await waitForRedis(redis, 'The queue Redis (REDIS_URL)', redisTimeoutMs);
    await checkQueueRedis(redis);
  } catch (error) {
    throw new StartError((error as Error).message);
  } finally {
    redis.disconnect();
  }
}

/** Migrates; a Postgres that cannot be used is a sentence here too. */
export async function migrateDatabase(databaseUrl: string): Promise<void> {
  const { migrate } = await import('@millrace/shared/postgres/migrate');
  const { PostgresError } = await import('@millrace/shared/postgres/db');
  try {
    await migrate(databaseUrl);
  } catch (error) {
    throw error instanceof PostgresError ? new StartError(error.message) : error;
  }
}
