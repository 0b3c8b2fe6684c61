/** The statements on the tables `prediction_stats` and `stats_writers`. */
import type { Db } from '../postgres/db.ts';
import { ALL, COUNTS, SPANS_S, type StatsRow, TIMES } from './stats-counts.ts';

const DAY_MS = 86_400_000;
/** Rows in one DELETE, so that a statement ends within its time limit. */
const DROP_ROWS = 5_000;
/** A process that wrote nothing for this time has ended. */
const WRITER_GONE_MS = DAY_MS;

const COLUMNS = [...COUNTS, 'waiting', 'oldest_waiting_ms', ...TIMES] as const;
const [FIRST_TIME] = TIMES;

const added = (name: string): string => {
  if (name === 'waiting' || name === 'oldest_waiting_ms')
    // The number decides for both columns: an empty queue has the number 0 and no age.
    return `${name} = CASE WHEN excluded.waiting IS NULL THEN s.${name} ELSE excluded.${name} END`;
  return TIMES.some((time) => time === name)
    ? `${name} = millrace_add_buckets(s.${name}, excluded.${name})`
    : `${name} = s.${name} + excluded.${name}`;
};

const WRITE = `
WITH fresh AS (
  INSERT INTO stats_writers AS w (writer, last_write, written_at) VALUES ($1, $2, $3)
  ON CONFLICT (writer) DO UPDATE SET last_write = excluded.last_write, written_at = excluded.written_at
    WHERE w.last_write < excluded.last_write
  RETURNING 1
)
INSERT INTO prediction_stats AS s (tenant, model, span_s, start_at, ${COLUMNS.join(', ')})
SELECT tenant, model, span_s, start_at, ${COLUMNS.map((name) => (TIMES.some((time) => time === name) ? `${name}::integer[]` : name)).join(', ')}
  FROM unnest($4::text[], $5::text[], $6::integer[], $7::bigint[],
    ${COLUMNS.map((_, at) => `$${8 + at}::${at < COLUMNS.indexOf(FIRST_TIME) ? 'bigint' : 'text'}[]`).join(', ')})
    AS given (tenant, model, span_s, start_at, ${COLUMNS.join(', ')})
 WHERE EXISTS (SELECT FROM fresh)
 -- All processes write in the same order, so that two writes do not deadlock.
 ORDER BY tenant, model, span_s, start_at
ON CONFLICT (tenant, model, span_s, start_at) DO UPDATE SET ${COLUMNS.map(added).join(', ')}`;

export interface StatsWrite {
  /** The process. */
  writer: string;
  /** Counts the writes of the process. A number that was written before changes nothing. */
  number: number;
  nowMs: number;
  rows: readonly StatsRow[];
}

/** Adds the rows to the table in one statement. Safe to repeat with the same number. */
export async function writeStats(db: Db, { writer, number, nowMs, rows }: StatsWrite): Promise<void> {
  const values: unknown[] = [
    rows.map(({ tenant }) => tenant),
    rows.map(({ model }) => model),
    rows.map(({ spanS }) => spanS),
    rows.map(({ startAt }) => startAt),
    ...COUNTS.map((name) => rows.map(({ counts }) => counts[name])),
    rows.map(({ waiting }) => waiting),
    rows.map(({ oldestMs }) => oldestMs),
    ...TIMES.map((name) => rows.map(({ times }) => `{${times[name].join()}}`)),
  ];
  await db.query({ name: 'write-stats', text: WRITE, values: [writer, number, nowMs, ...values] });
}

/** The sums of one step of a series, which may have many stored steps. */
export interface StatsPoint extends Record<(typeof COUNTS)[number], number> {
  /** Number of the step, from 0. */
  step: number;
  waiting: number | null;
  oldestMs: number | null;
  waitP50: number | null;
  waitP95: number | null;
  runP50: number | null;
  runP95: number | null;
  totalP50: number | null;
  totalP95: number | null;
}

const SUMS = COUNTS.map((name) => `sum(${name})::bigint AS ${name}`).join(', ');
const QUANTILES = TIMES.flatMap((name) =>
  [50, 95].map((share) => `millrace_quantile(${name}, ${share / 100}) AS "${name}P${share}"`),
);
const READ = `
WITH summed AS (
  SELECT ((start_at - $4) / $6)::integer AS step, ${SUMS},
         -- The last known state of the queue in the step.
         (array_agg(waiting ORDER BY start_at DESC) FILTER (WHERE waiting IS NOT NULL))[1] AS waiting,
         (array_agg(oldest_waiting_ms ORDER BY start_at DESC) FILTER (WHERE waiting IS NOT NULL))[1] AS "oldestMs",
         ${TIMES.map((name) => `millrace_sum_buckets(${name}) AS ${name}`).join(', ')}
    FROM prediction_stats
   WHERE tenant = $1 AND model = $2 AND span_s = $3 AND start_at >= $4 AND start_at < $5
   GROUP BY 1
), watched AS (
  -- The queues of all models were read in these steps. A model without a state had an empty queue.
  SELECT DISTINCT ((start_at - $4) / $6)::integer AS step FROM prediction_stats
   WHERE tenant = $1 AND model = '${ALL}' AND span_s = $3 AND start_at >= $4 AND start_at < $5 AND waiting IS NOT NULL
)
SELECT step, ${COUNTS.map((name) => `coalesce(${name}, 0) AS ${name}`).join(', ')},
       coalesce(s.waiting, CASE WHEN w.step IS NOT NULL THEN 0 END) AS waiting, "oldestMs", ${QUANTILES.join(', ')}
  FROM summed s FULL JOIN watched w USING (step) ORDER BY step`;

export interface StatsRange {
  /** A tenant, or ALL. */
  tenant: string;
  /** A model, or ALL. */
  model: string;
  /** Unix ms; the beginning of a step. */
  fromMs: number;
  /** Exclusive. */
  toMs: number;
  /** A multiple of 60. */
  stepS: number;
}

/** Reads the steps that have data, from the longest stored steps that divide a step. */
export async function readStats(db: Db, { tenant, model, fromMs, toMs, stepS }: StatsRange): Promise<StatsPoint[]> {
  const spanS = SPANS_S.findLast((span) => stepS % span === 0) ?? SPANS_S[0];
  const values = [tenant, model, spanS, fromMs, toMs, stepS * 1_000];
  const { rows } = await db.query<StatsPoint>({ name: 'read-stats', text: READ, values });
  return rows;
}

/** Deletes the steps that ended more than `days` ago. */
export async function dropOldStats(db: Db, days: number, nowMs: number): Promise<void> {
  for (let dropped = DROP_ROWS; dropped === DROP_ROWS; ) {
    const { rowCount } = await db.query(
      `DELETE FROM prediction_stats WHERE ctid = ANY (ARRAY(
         SELECT ctid FROM prediction_stats WHERE start_at < $1 ORDER BY start_at LIMIT ${DROP_ROWS}))`,
      [nowMs - days * DAY_MS],
    );
    dropped = rowCount ?? 0;
  }
  await db.query('DELETE FROM stats_writers WHERE written_at < $1', [nowMs - WRITER_GONE_MS]);
}
