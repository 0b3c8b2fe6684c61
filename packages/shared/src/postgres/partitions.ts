/**
 * Days of the tables that are partitioned by UUIDv7. A day is made before it begins and dropped, not deleted from, when
 * it is past retention.
 */

import { idBoundAt, timeOfId } from '../predictions/ids.ts';
import { postgresNow } from './clock.ts';
import { type Db, inTransaction, type Pool } from './db.ts';
import { notePass } from './retention-passes.ts';

/** Tables that are partitioned by day, and the column that says which. */
const TABLES = [
  ['predictions', 'id'],
  ['events', 'id'],
  ['webhook_deliveries', 'id'],
  ['webhook_attempts', 'delivery'],
] as const;

const DAY_MS = 86_400_000;
/** Days past retention are kept so much longer at most, lest one row that never ends keep all of them for ever. */
const NEEDED_DAYS_MAX = 30;
const HAS_DAY = /^(.+)_d(\d{4})(\d\d)(\d\d)$/;
// Which of them a race ends in depends on the catalogue in which the two meet first.
const ALREADY_THERE = new Set(['42P07', '42710', '23505']);

const dayOf = (ms: number): number => Math.floor(ms / DAY_MS) * DAY_MS;
const partitionName = (table: string, dayMs: number): string =>
  `${table}_d${new Date(dayMs).toISOString().slice(0, 10).replaceAll('-', '')}`;

/** Makes the partitions of today, by the clock of Postgres, and of the days ahead. Returns the names of those it made. */
export async function ensurePartitions(db: Db, daysAhead: number): Promise<string[]> {
  return ensureDays(db, await postgresNow(db), daysAhead);
}

/** Makes the partitions of the day of `firstMs` and of the days ahead of it that are missing. Races are safe. */
export async function ensureDays(db: Db, firstMs: number, daysAhead: number): Promise<string[]> {
  const made: string[] = [];
  const there = new Set(await partitionNames(db));
  for (const [table, column] of TABLES) {
    for (let ahead = 0; ahead <= daysAhead; ahead++) {
      const dayMs = dayOf(firstMs) + ahead * DAY_MS;
      const name = partitionName(table, dayMs);
      if (there.has(name)) continue;
      if (await makePartition(db, { table, column, name, dayMs })) made.push(name);
    }
  }
  return made;
}

/**
 * One block, so that it is atomic on a pool too. Attaching locks the table for writers far more briefly than
 * `CREATE ... PARTITION OF`. Rows of that day that went to the default partition are moved first.
 */
async function makePartition(
  db: Db,
  { table, column, name, dayMs }: { table: string; column: string; name: string; dayMs: number },
): Promise<boolean> {
  const from = idBoundAt(dayMs);
  const to = idBoundAt(dayMs + DAY_MS);
  try {
    await db.query(`DO $$ BEGIN
      SET LOCAL lock_timeout = '2s';
      CREATE TABLE ${name} (LIKE ${table} INCLUDING DEFAULTS INCLUDING CONSTRAINTS);
      LOCK TABLE ${table}_default IN ACCESS EXCLUSIVE MODE;
      WITH moved AS (
        DELETE FROM ${table}_default WHERE ${column} >= '${from}' AND ${column} < '${to}' RETURNING *
      ) INSERT INTO ${name} SELECT * FROM moved;
      ALTER TABLE ${table} ATTACH PARTITION ${name} FOR VALUES FROM ('${from}') TO ('${to}');
    END $$`);
    return true;
  } catch (error) {
    if (ALREADY_THERE.has((error as { code?: string }).code ?? '')) return false;
    throw error;
  }
}

/**
 * Drops the days that ended more than `retentionDays` ago by the clock of Postgres, and returns their names. Days stay as
 * long as something that is still open needs them, and so do the days after the first of these. A day must be past retention
 * in each of the last passes (see retention-passes.ts): a clock that jumps ahead, Postgres's too, drops nothing at once.
 * Dropping locks the table for an instant; when somebody else holds it, the call fails within two seconds and the next
 * one tries again.
 */
export async function dropOldPartitions(pool: Pool, retentionDays: number): Promise<string[]> {
  if (!Number.isInteger(retentionDays) || retentionDays < 1)
    throw new RangeError(`The ledger is kept for a whole number of days, 1 at least, and not for ${retentionDays}.`);
  const retentionMs = dayOf(await postgresNow(pool)) - retentionDays * DAY_MS;
  const neededMs = Math.max(await oldestNeeded(pool, retentionMs), retentionMs - NEEDED_DAYS_MAX * DAY_MS);
  const boundMs = await notePass(pool, Math.min(retentionMs, neededMs));
  if (boundMs === undefined) return [];
  const dropped: string[] = [];
  for (const name of await partitionNames(pool)) {
    const match = HAS_DAY.exec(name);
    if (!match || Date.UTC(Number(match[2]), Number(match[3]) - 1, Number(match[4])) >= boundMs) continue;
    await inTransaction(pool, async (db) => {
      await db.query(`SET LOCAL lock_timeout = '2s'`);
      await db.query(`DROP TABLE IF EXISTS ${name}`);
    });
    dropped.push(name);
  }
  for (const [table, column] of TABLES) {
    await pool.query(`DELETE FROM ${table}_default WHERE ${column} < $1`, [idBoundAt(boundMs)]);
  }
  return dropped;
}

/**
 * The day, of those before `beforeMs`, from which on something is needed; infinite when nothing is. A promise lasts up to a
 * week, a delivery is attempted for more than three days and needs its event and its prediction, and a prediction of any
 * age can be retried and a delivery made again, just before it would be dropped.
 */
async function oldestNeeded(db: Db, beforeMs: number): Promise<number> {
  const before = idBoundAt(beforeMs);
  const { rows } = await db.query<{ id: string }>(
    `(SELECT id FROM predictions WHERE status IN ('queued', 'running') AND id < $1 ORDER BY id LIMIT 1)
     UNION ALL
     (SELECT least(id, event, prediction) AS id FROM webhook_deliveries
       WHERE status = 'pending' AND least(id, event, prediction) < $1 ORDER BY 1 LIMIT 1)`,
    [before],
  );
  return Math.min(...rows.map(({ id }) => dayOf(timeOfId(id))));
}

async function partitionNames(db: Db): Promise<string[]> {
  const { rows } = await db.query<{ name: string }>(
    `SELECT c.relname AS name FROM pg_inherits i
       JOIN pg_class c ON c.oid = i.inhrelid
      WHERE i.inhparent = ANY($1::text[]::regclass[])
      ORDER BY c.relname`,
    [TABLES.map(([table]) => table)],
  );
  return rows.map(({ name }) => name);
}
