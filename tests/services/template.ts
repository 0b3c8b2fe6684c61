import { migrate } from '@millrace/shared/postgres/migrate';
import pg from 'pg';

/** Makes an empty, migrated database that those of the tests are copied from, and returns how to drop it. */
export async function makeTemplate(databaseUrl: string, name: string): Promise<() => Promise<void>> {
  await asAdmin(databaseUrl, `CREATE DATABASE ${name}`);
  await migrate(urlOfDatabase(databaseUrl, name));
  // Without this flag a forgotten connection to it would make every copy fail.
  await asAdmin(databaseUrl, `ALTER DATABASE ${name} ALLOW_CONNECTIONS false`);
  return () => asAdmin(databaseUrl, `DROP DATABASE IF EXISTS ${name} WITH (FORCE)`);
}

/** Runs one statement on a connection of its own. */
export async function asAdmin(databaseUrl: string, sql: string): Promise<void> {
  const client = new pg.Client({ connectionString: databaseUrl });
  await client.connect();
  try {
    await client.query(sql);
  } finally {
    await client.end();
  }
}

/** The same server, another database. */
export function urlOfDatabase(databaseUrl: string, name: string): string {
  const url = new URL(databaseUrl);
  url.pathname = `/${name}`;
  return url.href;
}
