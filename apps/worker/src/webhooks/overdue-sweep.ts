/** Finds lanes with overdue deliveries. Their timers were lost, or the worker that had claimed the deliveries died. */
import type { Db } from '@millrace/shared/postgres/db';

const LANE = 'webhook_lane(tenant, endpoint, url)';
/** The rows that a sweep reads directly, longest overdue first. When there are more rows, all read rows may be in one lane. */
const ROWS = 1_000;
const LONGEST_OVERDUE = `
  SELECT DISTINCT lane, count(*) OVER ()::int AS rows
    FROM (SELECT ${LANE} AS lane FROM webhook_deliveries
           WHERE status = 'pending' AND next_at <= $1 ORDER BY next_at LIMIT ${ROWS}) due`;
/** The lanes that a sweep reads one by one. Reading all of 10,000 lanes took longer than the second between two sweeps. */
const LANES = 1_000;
// Steps from each lane with pending deliveries to the next lane by index, so that the number of deliveries does not matter.
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
 * Returns a function that finds lanes with deliveries that have been due since `beforeMs`. With many overdue deliveries each
 * call returns the lanes that are overdue for longest and a part of the other lanes. The next call continues after that part,
 * so that repeated calls reach every lane.
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

export interface SweepParams {
  db: Db;
  now(): number;
  /** Pause between two sweeps. */
  intervalMs: number;
  onOverdue(lane: string): void;
  onError(error: unknown): void;
}

export interface OverdueSweep {
  /** Runs one sweep now. Never rejects. */
  sweep(): Promise<void>;
  /** Starts no more sweeps. Resolves when the sweep in progress has ended. */
  close(): Promise<void>;
}

/** A delivery that has been due for less time is usually on its way, woken by its timer. */
const OVERDUE_MS = 250;

/** Sweeps every `intervalMs`, measured from the end of the previous sweep. */
export function startOverdueSweep({ db, now, intervalMs, onOverdue, onError }: SweepParams): OverdueSweep {
  const overdueLanes = createOverdueSweep(db);
  let running = Promise.resolve();
  let timer: NodeJS.Timeout | undefined;
  let closed = false;

  async function sweep(): Promise<void> {
    try {
      for (const lane of await overdueLanes(now() - OVERDUE_MS)) onOverdue(lane);
    } catch (error) {
      onError(error);
    }
  }

  function schedule(): void {
    timer = setTimeout(() => {
      running = sweep().then(() => {
        if (!closed) schedule();
      });
    }, intervalMs);
  }

  schedule();
  return {
    sweep,
    close: () => {
      closed = true;
      clearTimeout(timer);
      return running;
    },
  };
}
