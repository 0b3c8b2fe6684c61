import { migrate } from '@millrace/shared/postgres/migrate';
import pg from 'pg';

/**
 * Creates an empty, migrated database as the template of the tests' databases. Returns a function that drops the
 * database.
 */
export async function makeTemplate(databaseUrl: string, name: string): Promise<() => Promise<void>> {
  await asAdmin(databaseUrl, `CREATE DATABASE ${name}`);
  await migrate(urlOfDatabase(databaseUrl, name));
  // Without this flag, a forgotten connection to the template would make every copy fail.
  await asAdmin(databaseUrl, `ALTER DATABASE ${name} ALLOW_CONNECTIONS false`);
  return () => asAdmin(databaseUrl, `DROP DATABASE IF EXISTS ${name} WITH (FORCE)`);
}

/** Runs one statement on a new connection. */
export async function asAdmin(databaseUrl: string, sql: string): Promise<void> {
  const client = new pg.Client({ connectionString: databaseUrl });
  await client.connect();
  try {
    await client.query(sql);
  } finally {
    await client.end();
  }
}

/** The URL of another database on the same server. */
export function urlOfDatabase(databaseUrl: string, name: string): string {
  const url = new URL(databaseUrl);
  url.pathname = `/${name}`;
  return url.href;
}
