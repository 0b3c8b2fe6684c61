/** Connections to Postgres, each call of which ends in bounded time even when the server has stopped answering. */
import pg from 'pg';
import { isReadOnly, replaceReadOnlyConnections } from './read-only.ts';

/** What runs a statement: a pool, or one connection inside a transaction. */
export type Db = Pick<pg.Pool, 'query'>;
export type Pool = pg.Pool;

export interface PoolSettings {
  databaseUrl: string;
  /** Most connections. */
  max: number;
  /** Longest that a statement may take, and that a caller may wait for a connection. */
  statementTimeoutMs: number;
  /** Shown in pg_stat_activity. */
  applicationName: string;
  /** Told of connections that broke while idle; the pool replaces them. */
  onError?: (error: Error) => void;
}

/** A Postgres that cannot be used, in one sentence for whoever started the process. */
export class PostgresError extends Error {
  override name = 'PostgresError';
}

const OLDEST = 150_000;
// A server that is alive ends the statement itself, and says so; only one that is not lets it come to this.
const CLIENT_GRACE_MS = 250;

const types = new pg.TypeOverrides();
types.setTypeParser(pg.types.builtins.INT8, (text: string) => {
  const number = Number(text);
  if (!Number.isSafeInteger(number)) throw new RangeError(`${text} does not fit a number.`);
  return number;
});

/** A pool that connects when it is first used. */
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
    // A process that is stopped in mid-transaction must not hold its locks for ever.
    idle_in_transaction_session_timeout: Math.max(statementTimeoutMs * 2, 1_000),
    keepAlive: true,
    keepAliveInitialDelayMillis: 10_000,
  });
  pool.on('error', (error) => onError?.(error));
  replaceReadOnlyConnections(pool);
  return pool;
}

/** Runs `work` in one transaction; rolls back, or gives the connection up, when it throws. */
export async function inTransaction<T>(pool: Pool, work: (db: Db) => Promise<T>): Promise<T> {
  return onConnection(pool, async (client, giveUp) => {
    try {
      await client.query('BEGIN');
      const result = await work(client);
      await client.query('COMMIT');
      return result;
    } catch (error) {
      if (isReadOnly(error)) giveUp(error as Error);
      await client.query('ROLLBACK').catch(giveUp);
      throw error;
    }
  });
}

/**
 * Runs `work` on one connection of the pool. A connection that breaks meanwhile, also between two statements, or that `work`
 * gives up, is closed and not used again. The pool listens only to idle connections, and without a listener the error
 * would end the process.
 */
export async function onConnection<T>(
  pool: Pool,
  work: (client: pg.PoolClient, giveUp: (error: Error) => void) => Promise<T>,
): Promise<T> {
  const client = await pool.connect();
  let broken: Error | undefined;
  const giveUp = (error: Error) => {
    broken = error;
  };
  client.on('error', giveUp);
  try {
    return await work(client, giveUp);
  } finally {
    client.off('error', giveUp);
    client.release(broken);
  }
}

/** Where a database is, without its password. */
export function placeOf(databaseUrl: string): string {
  return databaseUrl.replace(/\/\/[^@/]*@/, '//').replace(/\?.*$/, '');
}

/** Turns what a driver throws into one sentence. Node reports a refused name with several addresses without a message. */
export function postgresError(error: unknown, databaseUrl: string): PostgresError {
  if (error instanceof PostgresError) return error;
  const { message, code } = error as NodeJS.ErrnoException;
  const reason = message || code || String(error);
  const sentence = `Postgres at ${placeOf(databaseUrl)} cannot be used (${reason}): check DATABASE_URL.`;
  return new PostgresError(sentence, { cause: error });
}

/** Throws a PostgresError unless the server is one that Millrace can run on. */
export async function checkServerVersion(db: Db): Promise<void> {
  const { rows } = await db.query<{ number: number; text: string }>(
    `SELECT current_setting('server_version_num')::int AS number, current_setting('server_version') AS text`,
  );
  const { number, text } = rows[0]!;
  if (number < OLDEST) throw new PostgresError(`Millrace needs Postgres 15 or later, and this is ${text}.`);
}
