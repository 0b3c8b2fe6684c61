/** The sums of each model over a range of the history. */
import type { Db } from '../postgres/db.ts';
import { DAY_MS } from './prediction-days.ts';
import { ALL, COUNTS, SPANS_S, TIMES } from './stats-counts.ts';
import type { StatsPoint } from './stats-table.ts';

export interface ModelStatsRange {
  /** A tenant, or ALL. */
  tenant: string;
  /** Unix ms; the beginning of a step. */
  fromMs: number;
  /** Exclusive. */
  toMs: number;
  /** A multiple of 60. */
  stepS: number;
  limit: number;
  /** The last model of the previous page with its number of requests; null for the first page. */
  after: { requests: number; model: string } | null;
}

/** A model with its sums over the range. */
export interface ModelStats {
  model: string;
  /** Ended predictions and hits. */
  requests: number;
  /** The sums over the range. The quantiles are of the last stored step of the model in which a prediction has ended. */
  sums: Omit<StatsPoint, 'step'>;
  /** The requests of the steps that have data: the number of a step, from 0, and its requests. */
  steps: [step: number, requests: number][];
}

const REQUESTS = 'succeeded + failed + canceled + expired + hits';
const NAMES = COUNTS.join(', ');
const SUMS = COUNTS.map((name) => `sum(${name})::bigint AS ${name}`).join(', ');
const STORED = 'tenant = $1 AND span_s = $2::integer AND start_at < $4::bigint';
const RANGE = `${STORED} AND start_at >= $3::bigint`;
const QUANTILES = TIMES.flatMap((name) =>
  [50, 95].map((share) => `millrace_quantile(ended.${name}, ${share / 100}) AS "${name}P${share}"`),
);

const counted = (table: string): string => `SELECT model, start_at, ${NAMES} FROM ${table}`;
const OF_STEPS = `${counted('prediction_stats')} WHERE ${RANGE}`;
// The first whole day of the range, and the end of the days that the table of days has.
const FIRST_DAY = `(($3::bigint + ${DAY_MS - 1}) / ${DAY_MS} * ${DAY_MS})`;
const LAST_DAY = `(SELECT least(coalesce(max(start_at) + ${DAY_MS}, 0), $4::bigint / ${DAY_MS} * ${DAY_MS}) FROM prediction_days WHERE tenant = '${ALL}' AND model = '${ALL}')`;
const OF_DAYS = `
  ${counted('prediction_days')} WHERE tenant = $1 AND start_at >= ${FIRST_DAY} AND start_at < ${LAST_DAY}
  UNION ALL ${counted('prediction_stats')} WHERE ${RANGE} AND start_at < ${FIRST_DAY}
  UNION ALL ${counted('prediction_stats')} WHERE ${STORED} AND start_at >= greatest(${FIRST_DAY}, ${LAST_DAY})`;

// The sums of all models read the counts only. The steps, the state of the queue and the durations are read for the models of the page.
const readSql = (counts: string, steps: string): string => `
WITH counts AS NOT MATERIALIZED (${counts}
), steps AS NOT MATERIALIZED (${steps}
), top AS MATERIALIZED (
  SELECT model, ${SUMS}, sum(${REQUESTS})::bigint AS requests FROM counts WHERE model <> '${ALL}'
   GROUP BY model
  HAVING $6::bigint IS NULL OR sum(${REQUESTS}) < $6::bigint OR (sum(${REQUESTS}) = $6::bigint AND model > $7::text)
   ORDER BY requests DESC, model LIMIT $8::integer
)
SELECT top.*, ${QUANTILES.join(', ')}, coalesce(queue.waiting, CASE WHEN watched.at IS NOT NULL THEN 0 END) AS waiting,
       CASE WHEN queue.waiting > 0 THEN queue.oldest_waiting_ms END AS "oldestMs",
       (SELECT coalesce(json_agg(json_build_array(step, n) ORDER BY step), '[]') FROM (
          SELECT (start_at - $3::bigint) / $5::bigint AS step, sum(${REQUESTS})::bigint AS n FROM steps
           WHERE steps.model = top.model GROUP BY 1) of_model) AS steps
  FROM top
  LEFT JOIN LATERAL (
    SELECT wait, run, total FROM prediction_stats s
     WHERE ${RANGE} AND s.model = top.model AND succeeded + failed + canceled + expired > 0 ORDER BY start_at DESC LIMIT 1
  ) ended ON true
  -- The last stored step in which all queues were read. A model without a state in this step had an empty queue.
  CROSS JOIN (SELECT (SELECT start_at FROM prediction_stats WHERE ${RANGE} AND model = '${ALL}' AND waiting IS NOT NULL
                       ORDER BY start_at DESC LIMIT 1) AS at) watched
  LEFT JOIN prediction_stats queue ON queue.tenant = $1 AND queue.model = top.model AND queue.span_s = $2::integer AND queue.start_at = watched.at
 ORDER BY requests DESC, model`;

const STATEMENTS = {
  steps: { name: 'read-model-stats', text: readSql(OF_STEPS, OF_STEPS) },
  /** A long range reads a row for each day and model. */
  long: { name: 'read-model-stats-long', text: readSql(OF_DAYS, OF_STEPS) },
  days: { name: 'read-model-days', text: readSql(OF_DAYS, OF_DAYS) },
} as const;
/** A shorter range has few whole days. */
const LONG_MS = 2 * DAY_MS;

type Row = Omit<StatsPoint, 'step'> & Pick<ModelStats, 'model' | 'requests' | 'steps'>;

/** Reads the models with data in the range, sorted by falling number of requests. */
export async function readModelStats(db: Db, range: ModelStatsRange): Promise<ModelStats[]> {
  const { tenant, fromMs, toMs, stepS, limit, after } = range;
  const spanS = SPANS_S.findLast((span) => stepS % span === 0) ?? SPANS_S[0];
  const place = [after?.requests ?? null, after?.model ?? null];
  const values = [tenant, spanS, fromMs, toMs, stepS * 1_000, ...place, limit];
  const kind = (stepS * 1_000) % DAY_MS === 0 ? 'days' : toMs - fromMs > LONG_MS ? 'long' : 'steps';
  const { rows } = await db.query<Row>({ ...STATEMENTS[kind], values });
  return rows.map(({ model, requests, steps, ...sums }) => ({ model, requests, sums, steps }));
}
