/**
 * What retention may drop is what a whole day of passes agreed on. Where Postgres and the workers are on one machine, a clock
 * that jumps ahead is the same for all of them, and nothing but the passes before it says that the days are young.
 */
import { inTransaction, type Pool } from './db.ts';

/** Passes that must agree; they count at most once an hour by the clock of Postgres. */
export const PASSES = 24;

// A pass that is younger by its time than the one before it was made after a clock was set back: its time says nothing.
const NOTE = `
  INSERT INTO retention_passes (bound) SELECT $1
   WHERE NOT EXISTS (
     SELECT FROM (SELECT at FROM retention_passes ORDER BY id DESC LIMIT 1) last
      WHERE last.at BETWEEN clock_timestamp() - interval '50 minutes' AND clock_timestamp())`;
// A bound that is lower than the one noted within the hour counts at once: a clock was set right.
const LOWER = `
  UPDATE retention_passes SET bound = least(bound, $1) WHERE id = (SELECT max(id) FROM retention_passes)`;

/**
 * Notes up to which time, in Unix milliseconds, everything is past retention in this pass. Returns the lowest of the bounds of
 * the last passes, which is safe to drop up to; undefined until there were enough passes.
 */
export function notePass(pool: Pool, boundMs: number): Promise<number | undefined> {
  return inTransaction(pool, async (db) => {
    await db.query('LOCK TABLE retention_passes IN EXCLUSIVE MODE');
    await db.query(NOTE, [boundMs]);
    await db.query(LOWER, [boundMs]);
    await db.query('DELETE FROM retention_passes WHERE id <= (SELECT max(id) FROM retention_passes) - $1', [PASSES]);
    const { rows } = await db.query<{ passes: number; bound: number }>(
      'SELECT count(*)::int AS passes, min(bound) AS bound FROM retention_passes',
    );
    const [row] = rows;
    return row && row.passes >= PASSES ? row.bound : undefined;
  });
}
