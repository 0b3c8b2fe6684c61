/**
 * Retention drops only the days on which a whole day of passes agrees. When Postgres and the workers run on one machine, a clock
 * that jumps ahead is wrong for all of them, and only the earlier passes show that the days are young.
 */
import { inTransaction, type Pool } from './db.ts';

/** Number of passes that must agree. At most one pass an hour counts, by the clock of Postgres. */
export const PASSES = 24;

// The last pass has a time in the future if the clock was set back after that pass. Such a time does not delay the next pass.
const RECORD = `
  INSERT INTO retention_passes (bound) SELECT $1
   WHERE NOT EXISTS (
     SELECT FROM (SELECT at FROM retention_passes ORDER BY id DESC LIMIT 1) last
      WHERE last.at BETWEEN clock_timestamp() - interval '50 minutes' AND clock_timestamp())`;
// A bound that is lower than the bound of the same hour counts at once, because the clock was corrected.
const LOWER = `
  UPDATE retention_passes SET bound = least(bound, $1) WHERE id = (SELECT max(id) FROM retention_passes)`;

/**
 * Records the bound of this pass: all data before `boundMs` (Unix milliseconds) is past retention. Returns the lowest bound of
 * the last passes, before which all data is safe to drop; undefined until there are enough passes.
 */
export function recordPass(pool: Pool, boundMs: number): Promise<number | undefined> {
  return inTransaction(pool, async (db) => {
    await db.query('LOCK TABLE retention_passes IN EXCLUSIVE MODE');
    await db.query(RECORD, [boundMs]);
    await db.query(LOWER, [boundMs]);
    await db.query('DELETE FROM retention_passes WHERE id <= (SELECT max(id) FROM retention_passes) - $1', [PASSES]);
    const { rows } = await db.query<{ passes: number; bound: number }>(
      'SELECT count(*)::int AS passes, min(bound) AS bound FROM retention_passes',
    );
    const [row] = rows;
    return row && row.passes >= PASSES ? row.bound : undefined;
  });
}
