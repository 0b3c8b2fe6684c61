import { createPool, type Pool } from '@millrace/shared/db';
import { newPredictionId } from '@millrace/shared/ids';
import {
  dropOldPartitions,
  ensurePartitions,
  findPrediction,
  insertPromises,
  recordTerminal,
} from '@millrace/shared/ledger';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { promiseRow, terminalRow } from '../ledger/rows.ts';
import { useTestDatabase } from '../support/test-database.ts';

const database = useTestDatabase();
let pool: Pool;
beforeAll(() => {
  pool = createPool({ databaseUrl: database.url, max: 10, statementTimeoutMs: 10_000, applicationName: 'partitions' });
});
afterAll(() => pool.end());

const DAY_MS = 86_400_000;
// Far from the days that the migration made.
const start = Date.UTC(2040, 0, 1, 13);
const rowAt = (createdAt: number) => terminalRow({ createdAt, id: newPredictionId(3, createdAt) });

async function partitionOf(id: string): Promise<string> {
  const { rows } = await pool.query('SELECT tableoid::regclass::text AS name FROM predictions WHERE id = $1', [id]);
  return rows[0]?.name;
}

test('a day is made once, also when twenty do so at the same time, and holds the ids of that day', async () => {
  const made = (await Promise.all(Array.from({ length: 20 }, () => ensurePartitions(pool, start, 1)))).flat();
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

test('what has no day is kept, and moves to its day when that is made', async () => {
  const day = Date.UTC(2041, 5, 1);
  const rows = [rowAt(day - 1), rowAt(day + 5), rowAt(day + DAY_MS)] as const;
  await recordTerminal(pool, rows);
  expect(await partitionOf(rows[1].id)).toBe('predictions_default');
  await ensurePartitions(pool, day, 0);
  expect(await Promise.all(rows.map(({ id }) => partitionOf(id)))).toEqual([
    'predictions_default',
    'predictions_d20410601',
    'predictions_default',
  ]);
  expect(await findPrediction(pool, 'default', rows[1].id)).toMatchObject({ result: rows[1].result });
});

test('writers are not in the way of a new day, nor it in theirs', async () => {
  let done = false;
  const writing = (async () => {
    while (!done) await recordTerminal(pool, [terminalRow(), rowAt(Date.UTC(2042, 0, 3))]);
  })();
  for (let day = 1; day <= 5; day++) await ensurePartitions(pool, Date.UTC(2042, 0, day), 0);
  done = true;
  await writing;
});

test('days past retention are dropped whole, the rest of them deleted, and nothing younger', async () => {
  await ensurePartitions(pool, start, 3);
  const nowMs = start + 3 * DAY_MS;
  const old = rowAt(start);
  const oldWithoutDay = rowAt(Date.UTC(2039, 0, 1));
  const kept = rowAt(start + DAY_MS);
  await recordTerminal(pool, [old, oldWithoutDay, kept]);
  const dropped = await dropOldPartitions(pool, nowMs, 2);
  expect(dropped).toContain('predictions_d20400101');
  expect(dropped).toContain('events_d20400101');
  expect(dropped).not.toContain('predictions_d20400102');
  expect(await partitionOf(old.id)).toBeUndefined();
  expect(await partitionOf(oldWithoutDay.id)).toBeUndefined();
  expect(await partitionOf(kept.id)).toBe('predictions_d20400102');
  expect(await dropOldPartitions(pool, nowMs, 2)).toEqual([]);
});

test('days past retention are kept for as long as a promise or a delivery is open', async () => {
  const days = [1, 2, 3].map((day) => Date.UTC(2050, 0, day, 13)) as [number, number, number];
  const nowMs = Date.UTC(2050, 0, 10);
  const asks = { webhook: { url: 'https://receiver.example/hook' } };
  const old = rowAt(days[0]);
  const told = terminalRow({ createdAt: days[1], id: newPredictionId(3, days[1]), options: asks });
  const promise = promiseRow({ createdAt: days[2], id: newPredictionId(3, days[2]) });
  for (const day of days) await ensurePartitions(pool, day, 0);
  await recordTerminal(pool, [old, told]);
  await insertPromises(pool, [promise]);
  const drop = async (atMs: number) =>
    (await dropOldPartitions(pool, atMs, 1)).filter((name) => name.startsWith('predictions_d2050'));

  // The delivery itself is of that later day: it is its prediction that it needs.
  await pool.query('UPDATE webhook_deliveries SET id = millrace_uuid7($1), event = millrace_uuid7($1)', [nowMs]);
  expect(await drop(nowMs)).toEqual(['predictions_d20500101']);
  await pool.query(`UPDATE webhook_deliveries SET status = 'delivered' WHERE prediction = $1`, [told.id]);
  expect(await drop(nowMs)).toEqual(['predictions_d20500102']);
  expect(await drop(nowMs + 20 * DAY_MS)).toEqual([]);
  expect(await partitionOf(promise.id)).toBe('predictions_d20500103');
  await pool.query(`UPDATE predictions SET status = 'expired' WHERE id = $1`, [promise.id]);
  expect(await drop(nowMs)).toEqual(['predictions_d20500103']);
});

test('a row that never ends keeps no day for longer than a month', async () => {
  const day = Date.UTC(2051, 0, 1, 13);
  await ensurePartitions(pool, day, 0);
  await insertPromises(pool, [promiseRow({ createdAt: day, id: newPredictionId(3, day) })]);
  expect(await dropOldPartitions(pool, day + 31 * DAY_MS, 1)).not.toContain('predictions_d20510101');
  expect(await dropOldPartitions(pool, day + 32 * DAY_MS, 1)).toContain('predictions_d20510101');
});
