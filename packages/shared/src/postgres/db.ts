/** Connections to Postgres. Each call ends in bounded time, even when the server no longer responds. */
import pg from 'pg';
import { firstRow } from './first-row.ts';
import { PostgresError } from './postgres-error.ts';
import { isReadOnly, replaceReadOnlyConnections } from './read-only.ts';

/** Runs statements: a pool, or one connection inside a transaction. */
export type Db = Pick<pg.Pool, 'query'>;
export type Pool = pg.Pool;

export interface PoolSettings {
  databaseUrl: string;
  /** Maximum number of connections. */
  max: number;
  /** Time limit of a statement, and of the wait for a connection. */
  statementTimeoutMs: number;
  /** Shown in pg_stat_activity. */
  applicationName: string;
  /** Called when an idle connection breaks; the pool replaces the connection. */
  onError?: (error: Error) => void;
}

const OLDEST = 150_000;
// A server that responds cancels the statement and reports the time-out. Only a server that does not respond reaches this limit.
const CLIENT_GRACE_MS = 250;

const types = new pg.TypeOverrides();
types.setTypeParser(pg.types.builtins.INT8, (text: string) => {
  const number = Number(text);
  if (!Number.isSafeInteger(number)) throw new RangeError(`${text} does not fit a number.`);
  return number;
});

/** Returns a pool that connects at its first use. */
export function createPool(settings: PoolSettings): Pool {
  const { databaseUrl, max, statementTimeoutMs, applicationName, onError } = settings;
  const pool = new pg.Pool({
    connectionString: databaseUrl,
    max,
    types,
    application_name: applicationName,
    connectionTimeoutMillis: statementTimeoutMs,
    statement_timeout: statementTimeoutMs,
    query_timeout: statementTimeoutMs + CLIENT_GRACE_MS,
    // A process that stops in the middle of a transaction must not hold its locks forever.
    idle_in_transaction_session_timeout: Math.max(statementTimeoutMs * 2, 1_000),
    keepAlive: true,
    keepAliveInitialDelayMillis: 10_000,
  });
  pool.on('error', (error) => onError?.(error));
  replaceReadOnlyConnections(pool);
  return pool;
}

/**
 * Opens connections before the first request needs them. A server on busy cores may take longer to open a connection than a request may
 * wait, so each connection may take `timeoutMs`. Rejects when a connection cannot be opened.
 */
export async function openConnections(pool: Pool, count: number, timeoutMs: number): Promise<void> {
  const { connectionTimeoutMillis } = pool.options;
  pool.options.connectionTimeoutMillis = timeoutMs;
  try {
    const opened = await Promise.allSettled(Array.from({ length: count }, () => pool.connect()));
    for (const one of opened) if (one.status === 'fulfilled') one.value.release();
    for (const one of opened) if (one.status === 'rejected') throw one.reason;
  } finally {
    pool.options.connectionTimeoutMillis = connectionTimeoutMillis;
  }
}

/** Runs `work` in one transaction. When `work` throws, the transaction is rolled back or its connection is closed. */
export async function inTransaction<T>(pool: Pool, work: (db: Db) => Promise<T>): Promise<T> {
  return onConnection(pool, async (client, discard) => {
    try {
      await client.query('BEGIN');
      const result = await work(client);
      await client.query('COMMIT');
      return result;
    } catch (error) {
      if (error instanceof Error && isReadOnly(error)) discard(error);
      await client.query('ROLLBACK').catch(discard);
      throw error;
    }
  });
}

/**
 * Runs `work` on one connection of the pool. A connection that breaks during `work`, also between two statements, or that `work`
 * discards, is closed and not used again. The pool listens only to idle connections, and without a listener the error would end
 * the process.
 */
export async function onConnection<T>(
  pool: Pool,
  work: (client: pg.PoolClient, discard: (error: Error) => void) => Promise<T>,
): Promise<T> {
  const client = await pool.connect();
  let broken: Error | undefined;
  const discard = (error: Error) => {
    broken = error;
  };
  client.on('error', discard);
  try {
    return await work(client, discard);
  } finally {
    client.off('error', discard);
    client.release(broken);
  }
}

/** Throws a PostgresError unless the version of the server and the encoding of the database are supported. */
export async function checkServer(db: Db): Promise<void> {
  const { rows } = await db.query<{ number: number; text: string; encoding: string; database: string }>(
    `SELECT current_setting('server_version_num')::int AS number, current_setting('server_version') AS text,
            current_setting('server_encoding') AS encoding, current_database() AS database`,
  );
  const { number, text, encoding, database } = firstRow(rows);
  if (number < OLDEST)
    throw new PostgresError(`Millrace needs Postgres 15 or later, and the server has version ${text}.`);
  // Another encoding cannot store every text that a client may send.
  if (encoding !== 'UTF8')
    throw new PostgresError(
      `Millrace needs a database with the encoding UTF8, and the database '${database}' has ${encoding}: create a database with ENCODING 'UTF8' TEMPLATE template0, and name it in DATABASE_URL.`,
    );
}
