import { createPool, inTransaction, type Pool } from '@millrace/shared/postgres/db';
import { checkWritable, isReadOnly } from '@millrace/shared/postgres/read-only';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { asAdmin } from '../services/template.ts';
import { useTestDatabase } from '../support/test-database.ts';

const SIZE = 5;
const WRITE = 'UPDATE models SET tenant = tenant WHERE false';
const database = useTestDatabase();
let pool: Pool;

/** Applies to new connections. Open connections keep their setting. */
async function readOnly(value: 'on' | 'off'): Promise<void> {
  const server = new URL(database.url);
  const name = server.pathname.slice(1);
  server.pathname = '/postgres';
  await asAdmin(server.href, `ALTER DATABASE ${name} SET default_transaction_read_only = ${value}`);
}
const write = () => pool.query(WRITE);
const writeInTransaction = () => inTransaction(pool, (db) => db.query(WRITE));

beforeEach(async () => {
  pool = createPool({ databaseUrl: database.url, max: SIZE, statementTimeoutMs: 5_000, applicationName: 'read-only' });
  await readOnly('on');
  // Every connection of the pool leads to a server that refuses writes, as after a failover.
  await Promise.all(Array.from({ length: SIZE }, () => pool.query('SELECT pg_sleep(0.2)')));
  expect(pool.idleCount).toBe(SIZE);
});
afterEach(async () => {
  await pool.end();
  await readOnly('off');
});

test.each([
  ['a statement', write],
  ['a transaction', writeInTransaction],
])('after one refused write by %s every connection is replaced', async (_, run) => {
  await readOnly('off');
  const refused = await run().catch((error: unknown) => error);
  expect(isReadOnly(refused)).toBe(true);
  const outcomes = await Promise.allSettled(Array.from({ length: SIZE }, writeInTransaction));
  expect(outcomes.filter(({ status }) => status === 'rejected')).toEqual([]);
});

test('readiness names the setting and replaces the connections', async () => {
  await expect(checkWritable(pool)).rejects.toThrow(
    'Postgres (DATABASE_URL) takes no writes: default_transaction_read_only is on.',
  );
  await readOnly('off');
  await checkWritable(pool).catch(() => {});
  await checkWritable(pool);
  await writeInTransaction();
});
