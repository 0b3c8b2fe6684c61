/**
 * The table `prediction_days`: the counts of each finished day, by tenant and model. The days are added in their order, so every day up to the
 * last day of the table is complete. Days without predictions have no row.
 */
import type { Db } from '../postgres/db.ts';
import { ALL, COUNTS } from './stats-counts.ts';

export const DAY_MS = 86_400_000;
/** Days that are added again in each pass, because a process can write its counts late. */
const LATE_DAYS = 2;
/** A day is added after this time, so that few counts are late. */
const AFTER_MS = 600_000;

const HOUR_S = 3_600;

// All workers write in the same order, so that two passes do not deadlock.
const ADD = `
INSERT INTO prediction_days AS d (tenant, model, start_at, ${COUNTS.join(', ')})
SELECT tenant, model, $1::bigint, ${COUNTS.map((name) => `sum(${name})::bigint`).join(', ')} FROM prediction_stats
 WHERE span_s = ${HOUR_S} AND start_at >= $1::bigint AND start_at < $1::bigint + ${DAY_MS}
 GROUP BY tenant, model ORDER BY tenant, model
ON CONFLICT (tenant, start_at, model) DO UPDATE SET ${COUNTS.map((name) => `${name} = excluded.${name}`).join(', ')}
 WHERE (${COUNTS.map((name) => `d.${name}`).join(', ')}) IS DISTINCT FROM (${COUNTS.map((name) => `excluded.${name}`).join(', ')})`;

/** Adds the finished days that the table lacks, and the last days again. Days before the retention are left out. */
export async function addDays(db: Db, retentionDays: number, nowMs: number): Promise<void> {
  const { rows } = await db.query<{ last: number | null; first: number | null }>(
    `SELECT (SELECT max(start_at) FROM prediction_days WHERE tenant = '${ALL}' AND model = '${ALL}') AS last,
            (SELECT min(start_at) FROM prediction_stats WHERE tenant = '${ALL}' AND model = '${ALL}' AND span_s = ${HOUR_S}) AS first`,
  );
  const { last = null, first = null } = rows[0] ?? {};
  if (first === null) return;
  const end = dayOf(nowMs - AFTER_MS);
  const oldest = Math.max(dayOf(first), dayOf(nowMs) - retentionDays * DAY_MS);
  const from = last === null ? oldest : Math.max(oldest, Math.min(last + DAY_MS, end - LATE_DAYS * DAY_MS));
  for (let day = from; day < end; day += DAY_MS) await db.query({ name: 'add-day', text: ADD, values: [day] });
}

/** Deletes the days that ended more than `days` ago. */
export async function dropOldDays(db: Db, days: number, nowMs: number): Promise<void> {
  await db.query('DELETE FROM prediction_days WHERE start_at < $1::bigint', [nowMs - (days + 1) * DAY_MS]);
}

const dayOf = (ms: number): number => Math.floor(ms / DAY_MS) * DAY_MS;
