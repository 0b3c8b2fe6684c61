/**
 * Day partitions of the tables that are partitioned by UUIDv7. The partition of a day is created before the day begins. A day past
 * retention is dropped as a whole partition, instead of row by row.
 */

import { idBoundAt, timeOfId } from '../predictions/ids.ts';
import { postgresNow } from './clock.ts';
import { type Db, inTransaction, type Pool } from './db.ts';
import { errorCodeOf } from './error-code.ts';
import { recordPass } from './retention-passes.ts';

/** The tables that are partitioned by day, each with the column that determines the day. */
const TABLES = [
  ['predictions', 'id'],
  ['events', 'id'],
  ['webhook_deliveries', 'id'],
  ['webhook_attempts', 'delivery'],
] as const;

const DAY_MS = 86_400_000;
/** The limit of the extra days for days past retention that have open rows: a row that never ends must not keep all days. */
const NEEDED_DAYS_MAX = 30;
const HAS_DAY = /^(.+)_d(\d{4})(\d\d)(\d\d)$/;
// The codes of a race between two processes. The code depends on the system catalogue in which the second process fails.
const ALREADY_EXISTS = new Set(['42P07', '42710', '23505']);

const dayOf = (ms: number): number => Math.floor(ms / DAY_MS) * DAY_MS;
const partitionName = (table: string, dayMs: number): string =>
  `${table}_d${new Date(dayMs).toISOString().slice(0, 10).replaceAll('-', '')}`;

/** Creates the partitions of today, by the clock of Postgres, and of the days ahead. Returns the names of the new partitions. */
export async function ensurePartitions(db: Db, daysAhead: number): Promise<string[]> {
  return ensureDays(db, await postgresNow(db), daysAhead);
}

/** Creates the missing partitions of the day of `firstMs` and of the days ahead. Safe in several processes at the same time. */
export async function ensureDays(db: Db, firstMs: number, daysAhead: number): Promise<string[]> {
  const made: string[] = [];
  const existing = new Set(await partitionNames(db));
  for (const [table, column] of TABLES) {
    for (let ahead = 0; ahead <= daysAhead; ahead++) {
      const dayMs = dayOf(firstMs) + ahead * DAY_MS;
      const name = partitionName(table, dayMs);
      if (existing.has(name)) continue;
      if (await makePartition(db, { table, column, name, dayMs })) made.push(name);
    }
  }
  return made;
}

/**
 * Creates a partition in one block, which is atomic on a pool too. Attaching locks the table for writers for a much shorter time
 * than `CREATE ... PARTITION OF`. Rows of the day in the default partition are moved first. Returns false when another process
 * has created the partition.
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
      CREATE TABLE ${name} (LIKE ${table} INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING STORAGE);
      LOCK TABLE ${table}_default IN ACCESS EXCLUSIVE MODE;
      WITH moved AS (
        DELETE FROM ${table}_default WHERE ${column} >= '${from}' AND ${column} < '${to}' RETURNING *
      ) INSERT INTO ${name} SELECT * FROM moved;
      ALTER TABLE ${table} ATTACH PARTITION ${name} FOR VALUES FROM ('${from}') TO ('${to}');
    END $$`);
    return true;
  } catch (error) {
    if (ALREADY_EXISTS.has(errorCodeOf(error) ?? '')) return false;
    throw error;
  }
}

/**
 * Drops the days that ended more than `retentionDays` ago by the clock of Postgres, and returns the names of their partitions. A
 * day with an open row stays, and so do all later days. A day must be past retention in each of the last passes (see
 * retention-passes.ts), so that a clock that jumps ahead, even the clock of Postgres, drops nothing at once. Dropping locks the
 * table briefly. When another session holds the lock, the call fails within two seconds, and the next call tries again.
 */
export async function dropOldPartitions(pool: Pool, retentionDays: number): Promise<string[]> {
  if (!Number.isInteger(retentionDays) || retentionDays < 1)
    throw new RangeError(`The retention is ${retentionDays} days: expected a whole number of days, at least 1.`);
  const retentionMs = dayOf(await postgresNow(pool)) - retentionDays * DAY_MS;
  const neededMs = Math.max(await oldestNeeded(pool, retentionMs), retentionMs - NEEDED_DAYS_MAX * DAY_MS);
  const boundMs = await recordPass(pool, Math.min(retentionMs, neededMs));
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
 * Returns the first day before `beforeMs` that has an open row; infinite without an open row. A promise lasts up to a week. A
 * delivery is attempted for more than three days and needs its event and its prediction. A prediction of any age can be retried,
 * and a delivery sent again, shortly before its day is dropped.
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
