/** Checks the queue Redis and migrates the database before the programs start. */
import { StartError } from '@millrace/local/process/start-error';

const redisTimeoutMs = 2_000;

/** Rejects when the queue Redis cannot be reached, or when its settings would lose data. Runs before any program starts. */
export async function checkQueue(redisUrl: string): Promise<void> {
  // Imported only when the user brings a Redis: the import takes longer than the start of a private Redis.
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

/** Applies the migrations. Turns the error of an unusable Postgres into a StartError, which has no stack. */
export async function migrateDatabase(databaseUrl: string): Promise<void> {
  const { migrate } = await import('@millrace/shared/postgres/migrate');
  const { PostgresError } = await import('@millrace/shared/postgres/postgres-error');
  try {
    await migrate(databaseUrl);
  } catch (error) {
    throw error instanceof PostgresError ? new StartError(error.message) : error;
  }
}
