/** Detects a Postgres that takes no writes: a standby after a failover, or a server that was set read-only. */
import type pg from 'pg';
import { errorCodeOf } from './error-code.ts';
import { firstRow } from './first-row.ts';

const READ_ONLY_SQL_TRANSACTION = '25006';

/** The fault that readiness reports. The pool closes a connection that is released with this error. */
export class ReadOnlyPostgres extends Error {
  override name = 'ReadOnlyPostgres';
}

/** Whether a write failed because the server takes no writes. */
export const isReadOnly = (error: unknown): boolean =>
  error instanceof ReadOnlyPostgres || errorCodeOf(error) === READ_ONLY_SQL_TRANSACTION;

/**
 * Replaces all connections of a pool after a write on one connection fails because the server is read-only. At that time the
 * address may already lead to the new primary, but every idle connection leads to the old primary, and each would fail for one
 * caller.
 */
export function replaceReadOnlyConnections(pool: pg.Pool): void {
  let replacing = false;
  pool.on('release', (error: unknown) => {
    if (replacing || !isReadOnly(error)) return;
    replacing = true;
    // The pool hands out idle connections first, so that the loop takes exactly the connections that are idle now.
    const idle = Array.from({ length: pool.idleCount }, () =>
      pool.connect().then(
        (client) => client.release(true),
        () => {},
      ),
    );
    void Promise.all(idle).then(() => {
      replacing = false;
    });
  });
}

/** Rejects with a sentence for operators unless the server takes writes. Costs one round trip and writes nothing. */
export async function checkWritable(pool: Pick<pg.Pool, 'connect'>): Promise<void> {
  const client = await pool.connect();
  let fault: Error | undefined;
  // Without a listener, a connection that breaks here ends the process.
  const onError = (error: Error) => {
    fault = error;
  };
  client.on('error', onError);
  try {
    const { rows } = await client.query<{ standby: boolean; readOnly: boolean }>(
      `SELECT pg_is_in_recovery() AS standby, current_setting('transaction_read_only')::boolean AS "readOnly"`,
    );
    const { standby, readOnly } = firstRow(rows);
    if (standby || readOnly) fault = new ReadOnlyPostgres(standby ? STANDBY : READ_ONLY);
  } catch (error) {
    fault = error instanceof Error ? error : new Error(String(error));
  } finally {
    client.off('error', onError);
    client.release(fault);
  }
  if (fault) throw fault;
}

const STANDBY =
  'Postgres (DATABASE_URL) is a standby and takes no writes. Expected the primary. Let the address lead to the primary, or promote this server.';
const READ_ONLY =
  'Postgres (DATABASE_URL) takes no writes: default_transaction_read_only is on. Expected a server that takes writes. Set default_transaction_read_only to off, or name another server.';
