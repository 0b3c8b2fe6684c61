/** A system for the tests of the operators' pages: predictions, endpoints that respond and fail, and an hour of history. */
import { createPool } from '@millrace/shared/postgres/db';
import type { Config } from '@millrace/shared/process/config';
import { StatsCounts } from '@millrace/shared/stats/stats-counts';
import { writeStats } from '@millrace/shared/stats/stats-table';

/** Receivers on this machine are allowed. */
export const WEBHOOK_ENV = { WEBHOOK_ALLOW_HTTP: 'true', WEBHOOK_ALLOWED_NETWORKS: '127.0.0.0/8' };

export interface HistoryOptions {
  models: readonly string[];
  minutes: number;
  nowMs: number;
}

/** Adds a history of predictions with a day's shape: a peak of waiting predictions and errors in its second half. */
export async function addHistory(
  config: Pick<Config, 'databaseUrl'>,
  { models, minutes, nowMs }: HistoryOptions,
): Promise<void> {
  const { databaseUrl } = config;
  const db = createPool({ databaseUrl, max: 1, statementTimeoutMs: 30_000, applicationName: 'console-history' });
  const counts = new StatsCounts();
  for (let minute = minutes; minute > 0; minute -= 1) {
    const at = nowMs - minute * 60_000;
    const peak = Math.exp(-(((minute - minutes * 0.38) / (minutes * 0.02)) ** 2));
    for (const [order, model] of models.entries()) addMinute(counts, { model, order, at, peak });
    const waiting = Math.round(3 + 2 * Math.sin(minute) + 210 * peak);
    counts.queue('*', { waiting, oldestMs: Math.round(40 + 30 * Math.abs(Math.sin(minute * 3)) + 2_800 * peak) }, at);
  }
  for (const [number, rows] of [...chunks(await counts.take(), 2_000)].entries())
    await writeStats(db, { writer: 'history-of-tests', number: number + 1, nowMs, rows });
  await db.end();
}

interface Minute {
  model: string;
  order: number;
  at: number;
  peak: number;
}

function addMinute(counts: StatsCounts, { model, order, at, peak }: Minute): void {
  const wave = 1 + 0.3 * Math.sin(at / 400_000 + order) + 0.1 * Math.sin(at / 37_000);
  const size = Math.round((60 / (order + 1)) * wave);
  const series = { tenant: 'default', model };
  for (let n = 0; n < size; n += 1) {
    const waitMs = 3 + (n % 7) * 3 + peak * 380;
    const createdAt = at - waitMs;
    const inferenceMs = 0.5 + (n % 10) * 0.17 + order * 2;
    const isBad = n + 1 < peak * 14;
    const status = isBad ? (n % 4 === 3 ? 'expired' : 'failed') : 'succeeded';
    counts.count(series, 'accepted', at);
    counts.count(series, 'misses', at);
    counts.ended({ ...series, status, createdAt, startedAt: at, completedAt: at + inferenceMs, inferenceMs });
  }
  for (let n = 0; n < size * (1.4 - order * 0.4); n += 1) counts.count(series, 'hits', at);
  counts.queue(model, { waiting: order === 0 ? 2 : 0, oldestMs: order === 0 ? 40 : null }, at);
}

function* chunks<T>(list: readonly T[], size: number): Generator<T[]> {
  for (let from = 0; from < list.length; from += size) yield list.slice(from, from + size);
}
