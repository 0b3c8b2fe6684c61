import {
  dropOldPartitions,
  ensureDays,
  ensurePartitions,
  findPrediction,
  insertPromises,
  openPromises,
  recordTerminal,
} from '@millrace/shared/ledger/ledger';
import { postgresNow } from '@millrace/shared/postgres/clock';
import { createPool, type Pool } from '@millrace/shared/postgres/db';
import { PASSES } from '@millrace/shared/postgres/retention-passes';
import { newPredictionId } from '@millrace/shared/predictions/ids';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { promiseRow, terminalRow } from '../ledger/rows.ts';
import { useTestDatabase } from '../support/test-database.ts';

const database = useTestDatabase();
let pool: Pool;
beforeAll(() => {
  pool = createPool({ databaseUrl: database.url, max: 10, statementTimeoutMs: 10_000, applicationName: 'partitions' });
});
afterAll(() => pool.end());

const DAY_MS = 86_400_000;
// Far from the days that the migration created.
const start = Date.UTC(2040, 0, 1, 13);
const rowAt = (createdAt: number) => terminalRow({ createdAt, id: newPredictionId(3, createdAt) });

async function partitionOf(id: string): Promise<string> {
  const { rows } = await pool.query('SELECT tableoid::regclass::text AS name FROM predictions WHERE id = $1', [id]);
  return rows[0]?.name;
}

test('a day is created once by twenty simultaneous calls, and holds the ids of that day', async () => {
  const made = (await Promise.all(Array.from({ length: 20 }, () => ensureDays(pool, start, 1)))).flat();
  expect(made.filter((name) => name.startsWith('predictions')).sort()).toEqual([
    'predictions_d20400101',
    'predictions_d20400102',
  ]);
  expect(new Set(made).size).toBe(made.length);
  const midnight = Date.UTC(2040, 0, 2);
  const rows = [rowAt(midnight - 1), rowAt(midnight)] as const;
  await recordTerminal(pool, rows);
  expect(await partitionOf(rows[0].id)).toBe('predictions_d20400101');
  expect(await partitionOf(rows[1].id)).toBe('predictions_d20400102');
});

test('a row without a day is kept, and moves to its day when the day is created', async () => {
  const day = Date.UTC(2041, 5, 1);
  const rows = [rowAt(day - 1), rowAt(day + 5), rowAt(day + DAY_MS)] as const;
  await recordTerminal(pool, rows);
  expect(await partitionOf(rows[1].id)).toBe('predictions_default');
  await ensureDays(pool, day, 0);
  expect(await Promise.all(rows.map(({ id }) => partitionOf(id)))).toEqual([
    'predictions_default',
    'predictions_d20410601',
    'predictions_default',
  ]);
  expect(await findPrediction(pool, 'default', rows[1].id)).toMatchObject({ result: rows[1].result });
});

test('a long task is stored as it is, in the days of the migration and in later days', async () => {
  const day = Date.UTC(2042, 0, 1);
  await ensureDays(pool, day, 0);
  const { rows: columns } = await pool.query(
    `SELECT DISTINCT attstorage::text AS storage FROM pg_attribute
      WHERE attname = 'task' AND attrelid IN (SELECT relid FROM pg_partition_tree('predictions'))`,
  );
  expect(columns).toEqual([{ storage: 'e' }]);
  const task = JSON.stringify({ shape: 'one', rows: ['x'.repeat(100_000)], keys: [null], digest: 'd', epoch: 0 });
  const rows = [day, Math.floor(await postgresNow(pool))].map((at) =>
    promiseRow({ id: newPredictionId(3, at), createdAt: at, task }),
  );
  await insertPromises(pool, rows);
  const { rows: stored } = await pool.query(
    'SELECT pg_column_size(task) AS bytes, tableoid::regclass::text AS name FROM predictions WHERE id = ANY ($1::uuid[])',
    [rows.map(({ id }) => id)],
  );
  expect(stored.map(({ bytes }) => bytes)).toEqual([task.length, task.length]);
  expect(new Set(stored.map(({ name }) => name)).size).toBe(2);
  await pool.query('DELETE FROM predictions WHERE id = ANY ($1::uuid[])', [rows.map(({ id }) => id)]);
});

test('writers and the creation of a day do not block each other', async () => {
  let done = false;
  const writing = (async () => {
    while (!done) await recordTerminal(pool, [terminalRow(), rowAt(Date.UTC(2042, 0, 3))]);
  })();
  for (let day = 1; day <= 5; day++) await ensureDays(pool, Date.UTC(2042, 0, day), 0);
  done = true;
  await writing;
});

/** 13:00 on the day that is `days` before today, by Postgres's clock. */
async function daysAgo(days: number): Promise<number> {
  return Math.floor((await postgresNow(pool)) / DAY_MS - days) * DAY_MS + 13 * 3_600_000;
}
const nameOf = (table: string, ms: number) =>
  `${table}_d${new Date(ms).toISOString().slice(0, 10).replaceAll('-', '')}`;

/** Simulates hourly passes of the last day that all found the data past retention. */
async function agreedPasses(passes = PASSES): Promise<void> {
  await pool.query('TRUNCATE retention_passes');
  await pool.query(
    `INSERT INTO retention_passes (at, bound)
     SELECT clock_timestamp() - n * interval '1 hour', 9e15::bigint FROM generate_series($1, 1, -1) AS n`,
    [passes],
  );
}

const drop = async (retentionDays: number) => {
  await agreedPasses();
  return (await dropOldPartitions(pool, retentionDays)).filter((name) => name.startsWith('predictions'));
};

test('days past retention are dropped with all their rows, and younger days stay', async () => {
  const [oldest, young] = [await daysAgo(60), await daysAgo(59)];
  await ensureDays(pool, oldest, 3);
  const old = rowAt(oldest);
  const oldWithoutDay = rowAt(Date.UTC(2019, 0, 1));
  const kept = rowAt(young);
  await recordTerminal(pool, [old, oldWithoutDay, kept]);
  await agreedPasses();
  const dropped = await dropOldPartitions(pool, 59);
  expect(dropped).toContain(nameOf('predictions', oldest));
  expect(dropped).toContain(nameOf('events', oldest));
  expect(dropped).not.toContain(nameOf('predictions', young));
  expect(await partitionOf(old.id)).toBeUndefined();
  expect(await partitionOf(oldWithoutDay.id)).toBeUndefined();
  expect(await partitionOf(kept.id)).toBe(nameOf('predictions', young));
  expect(await drop(59)).toEqual([]);
});

test('days past retention are kept while a promise or a delivery is open', async () => {
  const days = [await daysAgo(110), await daysAgo(109), await daysAgo(108)] as const;
  const options = { webhook: { url: 'https://receiver.example/hook' } };
  const old = rowAt(days[0]);
  const ended = terminalRow({ createdAt: days[1], id: newPredictionId(3, days[1]), options });
  const promise = promiseRow({ createdAt: days[2], id: newPredictionId(3, days[2]) });
  for (const day of days) await ensureDays(pool, day, 0);
  await recordTerminal(pool, [old, ended]);
  await insertPromises(pool, [promise]);

  // The delivery has a later day, but the delivery needs the day of its prediction.
  await pool.query('UPDATE webhook_deliveries SET id = millrace_uuid7($1), event = millrace_uuid7($1)', [
    Math.floor(await postgresNow(pool)),
  ]);
  expect(await drop(100)).toEqual([nameOf('predictions', days[0])]);
  await pool.query(`UPDATE webhook_deliveries SET status = 'delivered' WHERE prediction = $1`, [ended.id]);
  expect(await drop(100)).toEqual([nameOf('predictions', days[1])]);
  expect(await drop(80)).toEqual([]);
  expect(await partitionOf(promise.id)).toBe(nameOf('predictions', days[2]));
  await pool.query(`UPDATE predictions SET status = 'expired' WHERE id = $1`, [promise.id]);
  expect(await drop(100)).toEqual([nameOf('predictions', days[2])]);
});

test('a row that never ends keeps a day for at most a month', async () => {
  const day = await daysAgo(200);
  await ensureDays(pool, day, 0);
  await insertPromises(pool, [promiseRow({ createdAt: day, id: newPredictionId(3, day) })]);
  expect(await drop(170)).not.toContain(nameOf('predictions', day));
  expect(await drop(169)).toContain(nameOf('predictions', day));
});

test("a process whose clock is 40 days ahead drops no young day and creates the days of Postgres's clock", async () => {
  const day = await daysAgo(20);
  await ensureDays(pool, day, 0);
  const row = rowAt(day);
  await recordTerminal(pool, [row]);
  await drop(30);
  await agreedPasses();
  const today = nameOf('predictions', await postgresNow(pool));
  await pool.query(`DROP TABLE IF EXISTS ${today}`);
  vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + 40 * DAY_MS });
  try {
    expect(await dropOldPartitions(pool, 30)).toEqual([]);
    expect(await ensurePartitions(pool, 0)).toContain(today);
  } finally {
    vi.useRealTimers();
  }
  expect(await partitionOf(row.id)).toBe(nameOf('predictions', day));
});

test("when Postgres's clock jumps ahead, nothing is dropped for a day of passes, and nothing after the correction", async () => {
  const day = await daysAgo(25);
  await ensureDays(pool, day, 0);
  await pool.query('TRUNCATE retention_passes');
  // The bound of a day ago covers none of the last 30 days.
  await pool.query(
    `INSERT INTO retention_passes (at, bound)
     SELECT clock_timestamp() - n * interval '1 hour', $1 FROM generate_series(${PASSES}, 1, -1) AS n`,
    [Math.floor((await postgresNow(pool)) - 30 * DAY_MS)],
  );
  // For a day, a shorter retention has the same effect as a clock that is ahead.
  expect(await dropOldPartitions(pool, 10)).toEqual([]);
  expect(await dropOldPartitions(pool, 10)).toEqual([]);
  // The last pass of a day of passes agrees.
  await pool.query(`UPDATE retention_passes SET at = at - interval '23 hours', bound = 9e15::bigint`);
  expect(await dropOldPartitions(pool, 10)).toContain(nameOf('predictions', day));
});

test('passes of a clock that was ahead do not count after the clock was set back', async () => {
  const day = await daysAgo(25);
  await ensureDays(pool, day, 0);
  await pool.query('TRUNCATE retention_passes');
  await pool.query(
    `INSERT INTO retention_passes (at, bound)
     SELECT clock_timestamp() + interval '40 days' - n * interval '1 hour', 9e15::bigint FROM generate_series(${PASSES}, 1, -1) AS n`,
  );
  expect(await dropOldPartitions(pool, 30)).toEqual([]);
  expect(await partitionNames()).toContain(nameOf('predictions', day));
});

test.each([0, -5, 0.5, Number.NaN, Number.POSITIVE_INFINITY])('a retention of %s days is refused', async (days) => {
  await expect(dropOldPartitions(pool, days)).rejects.toThrow('a whole number of days');
});

test("Postgres's clock decides whether a promise is overdue", async () => {
  const now = Math.floor(await postgresNow(pool));
  const made = [now + 3_600_000, now - 60_000].map((expiresAt) => {
    const createdAt = now - 120_000;
    return promiseRow({ id: newPredictionId(3, createdAt), createdAt, expiresAt });
  });
  await insertPromises(pool, made);
  vi.useFakeTimers({ toFake: ['Date'], now: now + 40 * DAY_MS });
  const open = await openPromises(pool, { olderThanMs: 0, limit: 100 }).finally(() => vi.useRealTimers());
  const overdue = made.map(({ id }) => open.find((row) => row.id === id)?.overdue);
  expect(overdue).toEqual([false, true]);
});

async function partitionNames(): Promise<string[]> {
  const { rows } = await pool.query(`SELECT inhrelid::regclass::text AS name FROM pg_inherits`);
  return rows.map(({ name }) => name);
}
