/** Reads Millrace's ledger with the bench's own SQL, because a count from the API could repeat a mistake of the API. */
import pg from 'pg';

export interface Ledger {
  /** Predictions that are not terminal. */
  open(): Promise<number>;
  /** Counts promised predictions only: when a waiting caller disconnects, its own prediction is canceled. */
  counts(): Promise<{ all: number; succeeded: number }>;
  /** All rows, promised or not. */
  rows(): Promise<number>;
  /** JSON texts of outputs, taken from predictions all over the ledger. */
  outputs(limit: number): Promise<string[]>;
  close(): Promise<void>;
}

export function openLedger(databaseUrl: string): Ledger {
  const pool = new pg.Pool({ connectionString: databaseUrl, max: 1 });
  const one = async <T extends pg.QueryResultRow>(sql: string): Promise<T> => {
    const { rows } = await pool.query<T>(sql);
    return rows[0] as T;
  };
  return {
    open: async () =>
      (await one<{ n: number }>("SELECT count(*)::int AS n FROM predictions WHERE status IN ('queued', 'running')")).n,
    counts: () =>
      one(`SELECT count(*)::int AS all, count(*) FILTER (WHERE status = 'succeeded')::int AS succeeded
           FROM predictions WHERE promised`),
    rows: async () => (await one<{ n: number }>('SELECT count(*)::int AS n FROM predictions')).n,
    outputs: async (limit) => {
      const sql = "SELECT result FROM predictions WHERE status = 'succeeded' ORDER BY md5(id::text) LIMIT $1";
      return (await pool.query<{ result: string }>(sql, [limit])).rows.map(({ result }) => result);
    },
    close: () => pool.end(),
  };
}
