import { StartError } from '@millrace/local/start-error';
import pg from 'pg';
import type { StartSettings } from './settings.ts';

/** Refuses servers that cannot be reached, before anything of ours runs. */
export async function checkServers(settings: StartSettings): Promise<void> {
  if (settings.databaseUrl) await checkDatabase(settings.databaseUrl);
}

export async function migrateDatabase(databaseUrl: string): Promise<void> {
  const { migrate } = await import('@millrace/shared/migrate');
  await migrate(databaseUrl);
}

async function checkDatabase(databaseUrl: string): Promise<void> {
  const client = new pg.Client({ connectionString: databaseUrl, connectionTimeoutMillis: 5_000 });
  try {
    await client.connect();
    await client.end();
  } catch (error) {
    throw new StartError(
      `Postgres at ${withoutPassword(databaseUrl)} cannot be used (${reason(error)}): check DATABASE_URL.`,
    );
  }
}

function withoutPassword(url: string): string {
  return url.replace(/\/\/[^@/]*@/, '//');
}

/** Node reports a refused connection to a name with several addresses as an AggregateError with no message. */
function reason(error: unknown): string {
  const { message, code } = error as NodeJS.ErrnoException;
  return message || code || String(error);
}
