/** Lanes with something that should have been attempted by now: their timers were lost, or their worker was. */
import type { Db } from '@millrace/shared/postgres/db';

const LANE = 'webhook_lane(tenant, endpoint, url)';
/** What is overdue for longest is looked at row by row, so many of them; beyond these one lane may have them all. */
const ROWS = 1_000;
const LONGEST_OVERDUE = `
  SELECT DISTINCT lane, count(*) OVER ()::int AS rows
    FROM (SELECT ${LANE} AS lane FROM webhook_deliveries
           WHERE status = 'pending' AND next_at <= $1 ORDER BY next_at LIMIT ${ROWS}) due`;
/** Lanes that are looked at one by one in a sweep: all of 10,000 took longer than the second between two sweeps. */
const LANES = 1_000;
// From each lane that has something pending to the next by the index, however much waits in them.
const NEXT_LANES = `
  WITH RECURSIVE lanes AS (
    (SELECT ${LANE} AS lane, 1 AS number FROM webhook_deliveries
      WHERE status = 'pending' AND ${LANE} > $2 ORDER BY ${LANE} LIMIT 1)
    UNION ALL
    SELECT (SELECT ${LANE} FROM webhook_deliveries
             WHERE status = 'pending' AND ${LANE} > l.lane ORDER BY ${LANE} LIMIT 1), l.number + 1
      FROM lanes l WHERE l.lane IS NOT NULL AND l.number < ${LANES}
  )
  SELECT lane, EXISTS (SELECT FROM webhook_deliveries
                        WHERE status = 'pending' AND ${LANE} = l.lane AND next_at <= $1) AS due
    FROM lanes l WHERE lane IS NOT NULL ORDER BY number`;

/**
 * A sweep, to be called again and again: gives back lanes with something due since before `beforeMs`. Where there is much
 * of that, those due for longest and a part of the others: each call goes on where the last one ended, so that every lane
 * has its turn.
 */
export function createOverdueSweep(db: Db): (beforeMs: number) => Promise<string[]> {
  let after = '';
  return async (beforeMs) => {
    const { rows: longest } = await db.query<{ lane: string; rows: number }>(LONGEST_OVERDUE, [beforeMs]);
    const overdue = new Set(longest.map(({ lane }) => lane));
    if ((longest[0]?.rows ?? 0) < ROWS) return [...overdue];
    const { rows: next } = await db.query<{ lane: string; due: boolean }>(NEXT_LANES, [beforeMs, after]);
    after = next.length < LANES ? '' : (next.at(-1)?.lane ?? '');
    for (const { lane, due } of next) if (due) overdue.add(lane);
    return [...overdue];
  };
}
