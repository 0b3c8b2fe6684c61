import pg from 'pg';
import { StartError } from './start-error.ts';

/** Refuses, in one sentence, a Postgres that cannot be connected to. */
export async function checkDatabase(databaseUrl: string): Promise<void> {
  const client = new pg.Client({ connectionString: databaseUrl, connectionTimeoutMillis: 5_000 });
  try {
    await client.connect();
    await client.end();
  } catch (error) {
    const place = databaseUrl.replace(/\/\/[^@/]*@/, '//');
    throw new StartError(`Postgres at ${place} cannot be used (${reason(error)}): check DATABASE_URL.`);
  }
}

/** Node reports a refused connection to a name with several addresses as an AggregateError with no message. */
function reason(error: unknown): string {
  const { message, code } = error as NodeJS.ErrnoException;
  return message || code || String(error);
}
