import pg from 'pg';
import { describe, expect, test } from 'vitest';
import { createTestDatabase, useTestDatabase } from './test-database.ts';

describe('a test database', () => {
  const database = useTestDatabase();

  test('is separate from other test databases', async () => {
    const other = await createTestDatabase();
    await inDatabase(database.url, 'CREATE TABLE only_here ()');
    await expect(inDatabase(other.url, 'SELECT FROM only_here')).rejects.toThrow('does not exist');
    await other.drop();
  });

  test('has the migrations', async () => {
    await expect(inDatabase(database.url, 'SELECT FROM predictions')).resolves.toBeUndefined();
  });

  test('reports an open connection when it is dropped', async () => {
    const leaky = await createTestDatabase({ forgetTimeoutMs: 100 });
    const client = new pg.Client({ connectionString: leaky.url, application_name: 'forgotten' });
    const ended = new Promise((resolve) => client.on('error', resolve));
    await client.connect();
    await client.query('SELECT 42');
    await expect(leaky.drop()).rejects.toThrow(/1 connections .* left open:\n\s+forgotten: SELECT 42/);
    await ended;
  });
});

async function inDatabase(url: string, sql: string): Promise<void> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    await client.query(sql);
  } finally {
    await client.end();
  }
}
