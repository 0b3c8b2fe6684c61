/** Creates a database for a test file, and drops it at the end. */
import { randomBytes } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import pg from 'pg';
import { afterAll, beforeAll, inject } from 'vitest';
import { asAdmin, urlOfDatabase } from '../services/template.ts';

export interface TestDatabase {
  readonly url: string;
  /** Drops the database. Rejects when a connection to the database is still open. */
  drop(): Promise<void>;
}

/**
 * Creates a migrated, empty database from the run's template. `forgetTimeoutMs` is the time that the server may take to
 * drop a connection that its client has closed.
 */
export async function createTestDatabase({ forgetTimeoutMs = 3_000 } = {}): Promise<TestDatabase> {
  const adminUrl = inject('databaseUrl');
  const name = `test_${randomBytes(6).toString('hex')}`;
  // The file copy is faster than a copy through the log for an empty database.
  await asAdmin(adminUrl, `CREATE DATABASE ${name} TEMPLATE ${inject('templateDatabase')} STRATEGY file_copy`);
  return {
    url: urlOfDatabase(adminUrl, name),
    drop: async () => {
      const leaked = await openConnections(adminUrl, name, forgetTimeoutMs);
      await asAdmin(adminUrl, `DROP DATABASE ${name} WITH (FORCE)`);
      if (leaked.length > 0) {
        throw new Error(`${leaked.length} connections to the test database were left open:\n  ${leaked.join('\n  ')}`);
      }
    },
  };
}

/**
 * Creates a database for the tests of a file or of the surrounding `describe`. Call useTestDatabase before other hooks
 * are registered: vitest runs its hook last, so that the check for open connections comes after the other hooks.
 */
export function useTestDatabase(): { readonly url: string } {
  let database: TestDatabase | undefined;
  beforeAll(async () => {
    database = await createTestDatabase();
  });
  afterAll(() => database?.drop());
  return {
    get url() {
      if (!database) throw new Error('The test database is available from beforeAll on.');
      return database.url;
    },
  };
}

/** Names and last statements of the connections that remain after the server had time to drop closed connections. */
async function openConnections(adminUrl: string, name: string, forgetTimeoutMs: number): Promise<string[]> {
  const client = new pg.Client({ connectionString: adminUrl });
  await client.connect();
  try {
    const deadline = performance.now() + forgetTimeoutMs;
    for (;;) {
      const { rows } = await client.query<{ application_name: string; query: string }>(
        `SELECT application_name, query FROM pg_stat_activity WHERE datname = $1 AND backend_type = 'client backend'`,
        [name],
      );
      if (rows.length === 0 || performance.now() > deadline) {
        return rows.map((row) => `${row.application_name || 'unnamed'}: ${row.query}`);
      }
      await delay(20);
    }
  } finally {
    await client.end();
  }
}
