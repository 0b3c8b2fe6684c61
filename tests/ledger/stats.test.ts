/** The tables of the history: writes that are repeated, sums, quantiles and retention. */
import { createPool, type Pool } from '@millrace/shared/postgres/db';
import { readModelStats } from '@millrace/shared/stats/model-stats';
import { addDays, dropOldDays } from '@millrace/shared/stats/prediction-days';
import { ALL, StatsCounts } from '@millrace/shared/stats/stats-counts';
import { dropOldStats, readStats, writeStats } from '@millrace/shared/stats/stats-table';
import { StatsWriter } from '@millrace/shared/stats/stats-writer';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createTestDatabase, type TestDatabase } from '../support/test-database.ts';

const HOUR = Date.UTC(2026, 0, 31, 12);
const MINUTE_MS = 60_000;
let database: TestDatabase;
let db: Pool;

beforeAll(async () => {
  database = await createTestDatabase();
  db = createPool({ databaseUrl: database.url, max: 4, statementTimeoutMs: 10_000, applicationName: 'stats-test' });
});
afterAll(async () => {
  await db?.end();
  await database?.drop();
});

const end = (model: string, ms: number, completedAt: number) => ({
  tenant: 't',
  model,
  status: 'succeeded' as const,
  createdAt: completedAt - ms,
  startedAt: completedAt - ms / 2,
  completedAt,
  inferenceMs: ms / 2,
});

const read = (model: string, stepS: number, minutes: number) =>
  readStats(db, { tenant: 't', model, fromMs: HOUR, toMs: HOUR + minutes * MINUTE_MS, stepS });

test('a write whose reply was lost is repeated, and counts once', async () => {
  const counts = new StatsCounts();
  counts.count({ tenant: 't', model: 'repeated' }, 'hits', HOUR);
  const write = { writer: 'w', number: 1, nowMs: HOUR, rows: await counts.take() };
  await writeStats(db, write);
  await writeStats(db, write);
  expect((await read('repeated', 60, 1))[0]?.hits).toBe(1);
  await writeStats(db, { ...write, number: 2 });
  expect((await read('repeated', 60, 1))[0]?.hits).toBe(2);
});

test('many processes add to the same rows at the same time', async () => {
  const writers = Array.from({ length: 8 }, () => new StatsWriter({ db, onError: (error) => expect.fail(`${error}`) }));
  for (const { counts } of writers)
    for (const model of ['b', 'a', 'c']) for (let n = 0; n < 10; n += 1) counts.ended(end(model, 10, HOUR + n));
  await Promise.all(writers.map((writer) => writer.write()));
  await Promise.all(writers.map((writer) => writer.close()));
  expect((await read('a', 60, 1))[0]?.succeeded).toBe(80);
  expect((await read('a', 3_600, 60))[0]?.succeeded).toBe(80);
});

test('quantiles are within 10 % of the true durations, in each step and over steps', async () => {
  const writer = new StatsWriter({ db, onError: (error) => expect.fail(`${error}`) });
  const durations: number[] = [];
  for (let n = 0; n < 1_000; n += 1) {
    const ms = 2 * 1.008 ** n;
    durations.push(ms);
    writer.counts.ended(end('q', ms, HOUR + (n % 10) * MINUTE_MS));
  }
  await writer.write();
  await writer.close();
  const near = (value: number | null | undefined, share: number, factor: number) => {
    const exact = (durations[Math.floor(durations.length * share)] ?? 0) * factor;
    expect(Math.abs((value ?? 0) / exact - 1)).toBeLessThan(0.1);
  };
  for (const points of [await read('q', 600, 10), await read('q', 3_600, 60)]) {
    expect(points).toHaveLength(1);
    expect(points[0]?.succeeded).toBe(1_000);
    near(points[0]?.totalP50, 0.5, 1);
    near(points[0]?.totalP95, 0.95, 1);
    near(points[0]?.waitP50, 0.5, 0.5);
    near(points[0]?.runP95, 0.95, 0.5);
  }
  const minutes = await read('q', 60, 10);
  expect(minutes.map(({ step, succeeded }) => [step, succeeded])).toEqual(
    Array.from({ length: 10 }, (_, step) => [step, 100]),
  );
  near(minutes[3]?.totalP50, 0.5, 1);
});

test('the queue of a model is empty where only other queues have waiting predictions', async () => {
  const counts = new StatsCounts();
  const at = HOUR + 30 * MINUTE_MS;
  counts.queue('queued', { waiting: 2, oldestMs: 1_500 }, at);
  counts.queue(ALL, { waiting: 2, oldestMs: 1_500 }, at);
  counts.queue(ALL, { waiting: 0, oldestMs: null }, at + MINUTE_MS);
  await writeStats(db, { writer: 'queues', number: 1, nowMs: HOUR, rows: await counts.take() });
  const range = { tenant: ALL, fromMs: at, toMs: at + 3 * MINUTE_MS, stepS: 60 };
  const shown = async (model: string) =>
    (await readStats(db, { ...range, model })).map(({ step, waiting, oldestMs }) => [step, waiting, oldestMs]);
  expect(await shown('queued')).toEqual([
    [0, 2, 1_500],
    [1, 0, null],
  ]);
  expect(await shown('other')).toEqual([
    [0, 0, null],
    [1, 0, null],
  ]);
});

test('counts that Postgres does not take wait in memory, and are written once', async () => {
  const errors: unknown[] = [];
  const writer = new StatsWriter({ db, onError: (error) => errors.push(error) });
  await db.query('ALTER TABLE prediction_stats RENAME TO prediction_stats_away');
  writer.counts.count({ tenant: 't', model: 'away' }, 'refused', HOUR);
  await writer.write();
  writer.counts.count({ tenant: 't', model: 'away' }, 'refused', HOUR);
  await writer.write();
  expect(errors).toHaveLength(2);
  await db.query('ALTER TABLE prediction_stats_away RENAME TO prediction_stats');
  await writer.close();
  expect((await read('away', 60, 1))[0]?.refused).toBe(2);
});

test('retention discards old steps, and keeps the others', async () => {
  const counts = new StatsCounts();
  for (const days of [0, 29, 31]) counts.count({ tenant: 't', model: 'old' }, 'hits', HOUR - days * 86_400_000);
  await writeStats(db, { writer: 'retention', number: 1, nowMs: HOUR, rows: await counts.take() });
  await dropOldStats(db, 30, HOUR);
  const range = { tenant: 't', model: 'old', fromMs: HOUR - 40 * 86_400_000, toMs: HOUR + 3_600_000, stepS: 86_400 };
  expect((await readStats(db, range)).map(({ hits }) => hits)).toEqual([1, 1]);
});

const DAY_MS = 86_400_000;
const DAY = Date.UTC(2026, 3, 10);

/** Counts hits of models in the middle of days, where a day is a number of days after DAY. */
async function writeHits(hits: readonly [model: string, day: number, count: number][], number: number): Promise<void> {
  const counts = new StatsCounts();
  for (const [model, day, count] of hits)
    for (let n = 0; n < count; n += 1) counts.count({ tenant: 'm', model }, 'hits', DAY + day * DAY_MS + 40_000_000);
  await writeStats(db, { writer: 'days', number, nowMs: DAY, rows: await counts.take() });
}

const models = async (range: { fromMs: number; toMs: number; stepS: number }, more: object = {}) =>
  (await readModelStats(db, { tenant: 'm', limit: 10, after: null, ...range, ...more })).map(
    ({ model, requests, steps }) => [model, requests, steps],
  );

test('the models of a range are sorted by requests, in pages, from steps and from days', async () => {
  const days = { fromMs: DAY, toMs: DAY + 3 * DAY_MS + 80_000_000, stepS: 86_400 };
  await writeHits(
    [
      ['a', 0, 3],
      ['b', 1, 5],
      ['b', 3, 1],
      ['c', 2, 3],
    ],
    1,
  );
  const expected = [
    [
      'b',
      6,
      [
        [1, 5],
        [3, 1],
      ],
    ],
    ['a', 3, [[0, 3]]],
    ['c', 3, [[2, 3]]],
  ];
  expect(await models(days)).toEqual(expected);
  // The last day is in progress. The days before are now in the table of days, where a read finds them without their hours.
  await addDays(db, 30, DAY + 3 * DAY_MS + 80_000_000);
  await db.query(`DELETE FROM prediction_stats WHERE tenant = 'm' AND start_at < $1`, [DAY + 2 * DAY_MS]);
  expect(await models(days)).toEqual(expected);
  expect(await models(days, { limit: 1 })).toEqual(expected.slice(0, 1));
  expect(await models(days, { after: { requests: 6, model: 'b' } })).toEqual(expected.slice(1));
  expect(await models(days, { after: { requests: 3, model: 'a' } })).toEqual(expected.slice(2));
  expect(await models(days, { tenant: 'another' })).toEqual([]);
  // An end within a day leaves out the rest of the day.
  expect(await models({ ...days, toMs: DAY + 2 * DAY_MS + 10_000_000 })).toEqual([
    ['b', 5, [[1, 5]]],
    ['a', 3, [[0, 3]]],
  ]);
  // Parts of days at both ends are read from the hours.
  expect(await models({ fromMs: DAY + 43_200_000, toMs: DAY + 3 * DAY_MS + 50_000_000, stepS: 43_200 })).toEqual([
    ['b', 6, [[5, 1]]],
    ['c', 3, [[3, 3]]],
  ]);
  const hours = { fromMs: DAY + 2 * DAY_MS, toMs: DAY + 4 * DAY_MS, stepS: 43_200 };
  expect(await models(hours)).toEqual([
    ['c', 3, [[0, 3]]],
    ['b', 1, [[2, 1]]],
  ]);
});

test('counts that come late are added to their day, and old days are discarded', async () => {
  const range = { fromMs: DAY, toMs: DAY + 4 * DAY_MS, stepS: 86_400 };
  await writeHits([['late', 2, 2]], 2);
  expect(await models(range)).not.toContainEqual(['late', 2, [[2, 2]]]);
  await addDays(db, 30, DAY + 3 * DAY_MS + 80_000_000);
  expect(await models(range)).toContainEqual(['late', 2, [[2, 2]]]);
  await dropOldDays(db, 30, DAY + 32 * DAY_MS);
  const { rows } = await db.query(`SELECT min(start_at) AS first FROM prediction_days WHERE tenant = 'm'`);
  expect(rows[0]?.first).toBe(DAY + DAY_MS);
});
