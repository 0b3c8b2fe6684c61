/** A Postgres that takes no writes: a standby after a failover, or a server that was set read-only. */
import type pg from 'pg';

const READ_ONLY_SQL_TRANSACTION = '25006';

/** Reported by readiness, and given to `release` so that the connection is not used again. */
export class ReadOnlyPostgres extends Error {
  override name = 'ReadOnlyPostgres';
}

/** Whether a write failed because the server takes none. */
export const isReadOnly = (error: unknown): boolean =>
  error instanceof ReadOnlyPostgres ||
  (error instanceof Error && (error as Error & { code?: unknown }).code === READ_ONLY_SQL_TRANSACTION);

/**
 * Replaces the connections of a pool once a write fails on one of them because its server is read-only. The address may lead
 * to the new primary already, and every idle connection still leads to the old one, on which one caller each would fail.
 */
export function replaceReadOnlyConnections(pool: pg.Pool): void {
  let replacing = false;
  pool.on('release', (error: unknown) => {
    if (replacing || !isReadOnly(error)) return;
    replacing = true;
    // An idle connection is given out at once, so this takes exactly those that are idle now.
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

/** Rejects with a sentence unless the server takes writes. Costs one round trip and writes nothing. */
export async function checkWritable(pool: Pick<pg.Pool, 'connect'>): Promise<void> {
  const client = await pool.connect();
  let fault: Error | undefined;
  // A connection that ends while it is here would otherwise end the process.
  const onError = (error: Error) => {
    fault = error;
  };
  client.on('error', onError);
  try {
    const { rows } = await client.query<{ standby: boolean; readOnly: boolean }>(
      `SELECT pg_is_in_recovery() AS standby, current_setting('transaction_read_only')::boolean AS "readOnly"`,
    );
    const { standby, readOnly } = rows[0]!;
    if (standby || readOnly) fault = new ReadOnlyPostgres(standby ? STANDBY : READ_ONLY);
  } catch (error) {
    fault = error as Error;
  } finally {
    client.off('error', onError);
    client.release(fault);
  }
  if (fault) throw fault;
}

const STANDBY =
  'Postgres (DATABASE_URL) is a standby and takes no writes. Expected the primary. Let the address lead to the primary, or promote this server.';
const READ_ONLY =
  'Postgres (DATABASE_URL) takes no writes: default_transaction_read_only is on. Expected a server that takes writes. Set it off, or name another server.';
