/**
 * Fills the stores of a server with the history of a month: models, predictions, deliveries, and the counts that these predictions
 * leave. The rows are copies of rows that the server itself has written, so that each has the form of a real row.
 */
import { ensureDays } from '@millrace/shared/postgres/partitions';
import { shardOf } from '@millrace/shared/predictions/ids';
import pg from 'pg';

export interface Amounts {
  models: number;
  predictions: number;
  deliveries: number;
}

export interface SeedParams extends Amounts {
  databaseUrl: string;
  /** The model whose version and predictions are copied. */
  template: string;
  say(message: string): void;
}

const DAY_MS = 86_400_000;
/** A day less than RETENTION_DAYS, so that retention drops no row. */
const DAYS = 29;
const ENDPOINTS = 20;
/** Rows in one statement. */
const BATCH = 50_000;

export const modelName = (number: number): string => `model-${String(number).padStart(4, '0')}`;

/** Adds the rows. A second call with larger amounts adds the difference in predictions and deliveries. */
export async function seed({ databaseUrl, ...params }: SeedParams): Promise<void> {
  const client = new pg.Client({ connectionString: databaseUrl });
  await client.connect();
  try {
    await ensureDays(client, Date.now() - DAYS * DAY_MS, DAYS + 1);
    await addModels(client, params);
    await addPredictions(client, params);
    await addDeliveries(client, params);
    await addCounts(client, params);
    params.say('analyzes the tables');
    await client.query('VACUUM ANALYZE');
  } finally {
    await client.end();
  }
}

/**
 * Keeps a copy of the predictions of a model that wait, and of an output. Call this function while the predictions wait: a prediction
 * that has succeeded has no task.
 */
export async function keepTemplates(databaseUrl: string, model: string): Promise<void> {
  const client = new pg.Client({ connectionString: databaseUrl });
  await client.connect();
  try {
    await client.query('DROP TABLE IF EXISTS bench_templates');
    const { rowCount } = await client.query(
      `CREATE TABLE bench_templates AS SELECT *, row_number() OVER (ORDER BY id) - 1 AS place, count(*) OVER () AS places,
              (SELECT result FROM predictions WHERE model = '${model}' AND status = 'succeeded' LIMIT 1) AS output
         FROM predictions WHERE model = '${model}' AND task IS NOT NULL`,
    );
    if (!rowCount) throw new Error(`No prediction of ${model} waits: the rows of the history are copies of such rows.`);
  } finally {
    await client.end();
  }
}

type Seed = Omit<SeedParams, 'databaseUrl'>;

async function addModels(client: pg.Client, { models, template, say }: Seed): Promise<void> {
  say(`${models} models`);
  const { rows } = await client.query<{ name: string }>(
    `SELECT column_name AS name FROM information_schema.columns WHERE table_name = 'model_versions'
      AND column_name NOT IN ('model', 'version', 'state', 'reason')`,
  );
  const same = rows.map(({ name }) => name).join(', ');
  await client.query(
    `INSERT INTO models (tenant, model) SELECT 'default', 'model-' || lpad(n::text, 4, '0') FROM generate_series(1, $1::int) n
     ON CONFLICT DO NOTHING`,
    [models],
  );
  // Each model has two versions. The second version of some models has failed.
  await client.query(
    `INSERT INTO model_versions (model, version, state, reason, ${same})
     SELECT 'model-' || lpad(n::text, 4, '0'), number::text, CASE WHEN number = 2 AND n % 250 = 0 THEN 'failed' ELSE 'ready' END,
            CASE WHEN number = 2 AND n % 250 = 0 THEN 'The file model.onnx is not an ONNX model.' END, ${same}
       FROM generate_series(1, $1::int) n, generate_series(1, 2) number,
            (SELECT * FROM model_versions WHERE model = $2 AND state = 'ready' LIMIT 1) template
     ON CONFLICT DO NOTHING`,
    [models, template],
  );
}

/** The random number of a row: the same in each run, and between 0 and 1. */
const RANDOM = `((g::bigint * 2654435761) % 4294967296 / 4294967296.0)`;

async function addPredictions(client: pg.Client, { models, predictions, say }: Seed): Promise<void> {
  const { rows } = await client.query<{ n: number }>(
    `SELECT count(*)::int AS n FROM predictions WHERE model LIKE 'model-%'`,
  );
  const names = Array.from({ length: models }, (_, at) => modelName(at + 1));
  const shards = names.map((name) => shardOf(name).toString(16).padStart(3, '0'));
  const from = rows[0]?.n ?? 0;
  for (let at = from; at < predictions; at += BATCH) {
    say(`${at} of ${predictions} predictions`);
    const last = Math.min(predictions, at + BATCH);
    await client.query(
      `WITH made AS (
         -- A model with twice the number has half of the predictions.
         SELECT g, floor(power($1::int, ${RANDOM}))::int AS model,
                ($2::bigint + ((g::bigint * 7919) % $3::int) * ($4::bigint / $3::int))::bigint AS at FROM generate_series($5::int, $6::int) g
       )
       INSERT INTO predictions (id, tenant, model, version, digest, status, priority, task, options, metadata, result, created_at,
         started_at, completed_at, expires_at, attempts, inference_ms, batch_size, promised, row_count, is_list, cache_use,
         worker_id, queued_at, batched_at, recorded_at)
       SELECT (lpad(to_hex(at), 12, '0') || '7' || ($8::text[])[made.model] || 'a' || substr(md5(g::text), 1, 15))::uuid,
              'default', ($7::text[])[made.model], CASE WHEN g % 10 = 0 THEN '1' ELSE '2' END, digest, end_status, priority,
              CASE WHEN end_status <> 'succeeded' THEN task END, options,
              '{"order":"' || g || '","team":"' || (ARRAY['checkout', 'search', 'care'])[g % 3 + 1] || '"}',
              CASE end_status WHEN 'succeeded' THEN output WHEN 'canceled' THEN '' ELSE '{"code":"' ||
                CASE end_status WHEN 'expired' THEN 'deadline_exceeded' ELSE 'engine_crashed' END ||
                '","title":"The prediction did not succeed","status":500,"detail":"The engine ended during the run.","retryable":true}' END,
              at, at + 4, at + 7 + g % 40, NULL, 1, 1.5 + g % 5, 8, true, 1, false, 'miss', 'worker-a', at + 1, at + 5, at + 60
         FROM made JOIN bench_templates ON place = g % places,
              LATERAL (SELECT CASE g % 100 WHEN 0 THEN 'failed' WHEN 1 THEN 'expired' WHEN 2 THEN 'canceled' ELSE 'succeeded' END AS end_status) e
       ON CONFLICT DO NOTHING`,
      [models, Date.now() - DAYS * DAY_MS, predictions, DAYS * DAY_MS - 60_000, at + 1, last, names, shards],
    );
  }
}

async function addDeliveries(client: pg.Client, { deliveries, say }: Seed): Promise<void> {
  say(`${deliveries} deliveries`);
  await client.query(
    `INSERT INTO webhook_endpoints (tenant, url, description, failing_since)
     SELECT 'default', 'https://receiver-' || n || '.example.com/millrace', '', NULL FROM generate_series(1, $1::int) n
      WHERE NOT EXISTS (SELECT FROM webhook_endpoints)`,
    [ENDPOINTS],
  );
  // Of an hour before now and older: the deliveries of younger predictions are pending in a real system.
  await client.query(
    `WITH made AS MATERIALIZED (
       SELECT row_number() OVER () AS n, id AS prediction, tenant, model, version, status, completed_at AS at, opening,
              (lpad(to_hex(completed_at), 12, '0') || '7' || substr(md5(id::text), 1, 3) || 'b' || substr(md5(id::text), 4, 15))::uuid AS event
         FROM (SELECT * FROM predictions WHERE model LIKE 'model-%' AND completed_at IS NOT NULL ORDER BY md5(id::text) LIMIT $1::int) p
     ), written AS (
       INSERT INTO events (id, tenant, sequence, type, prediction, model, version, created_at, opening, completed_at)
       SELECT event, tenant, n, 'prediction.' || status, prediction, model, version, at, opening, at FROM made
       ON CONFLICT DO NOTHING
     ), sent AS (
       INSERT INTO webhook_deliveries (id, tenant, event, endpoint, url, type, prediction, status, attempts, next_at, created_at, completed_at)
       SELECT (lpad(to_hex(at), 12, '0') || '7' || substr(md5(event::text), 1, 3) || 'b' || substr(md5(event::text), 4, 15))::uuid,
              tenant, event, e.id, e.url, 'prediction.' || status, prediction, CASE WHEN n % 50 = 0 THEN 'failed' ELSE 'delivered' END,
              CASE WHEN n % 50 = 0 THEN 10 ELSE 1 END, NULL, at, at + 120
         FROM made JOIN (SELECT id, url, row_number() OVER () - 1 AS place, count(*) OVER () AS places FROM webhook_endpoints) e
           ON e.place = n % places
       ON CONFLICT DO NOTHING RETURNING id, tenant, attempts, created_at
     )
     INSERT INTO webhook_attempts (delivery, number, tenant, at, latency_ms, status, error, reply)
     SELECT id, number, tenant, created_at + number * 1000, 84, CASE WHEN attempts = 1 THEN 200 ELSE 503 END, NULL, 'reply'
       FROM sent, generate_series(1, attempts) number ON CONFLICT DO NOTHING`,
    [deliveries],
  );
}

/** The API reads steps of minutes and of ten minutes for at most 48 hours. Older steps of these lengths are not written, to save time. */
const SHORT_STEPS_MS = 3 * DAY_MS;

/** Writes the counts of the predictions by minute, ten minutes and hour, as the processes of a server write them. */
async function addCounts(client: pg.Client, { say }: Seed): Promise<void> {
  say('counts by minute and hour');
  await client.query(
    `DELETE FROM prediction_stats WHERE start_at < (extract(epoch FROM now()) * 1000)::bigint - 300000`,
  );
  const buckets = `array_fill(0, ARRAY[7]) || n::int || array_fill(0, ARRAY[14]) || (n / 10)::int`;
  for (const span of [60, 600, 3_600])
    for (const tenant of ['tenant', `'*'`])
      for (const model of ['model', `'*'`])
        await client.query(
          `INSERT INTO prediction_stats (tenant, model, span_s, start_at, accepted, succeeded, failed, canceled, expired, hits, misses,
             refused, waiting, oldest_waiting_ms, wait, run, total)
           SELECT tenant, model, $1::int, start_at, n, succeeded, failed, canceled, expired, n / 2, n, 0,
                  CASE WHEN tenant = '*' THEN 0 END, NULL, ${buckets}, ${buckets}, ${buckets}
             FROM (SELECT ${tenant} AS tenant, ${model} AS model, created_at / ($1::int * 1000) * ($1::int * 1000) AS start_at, count(*) AS n,
                          count(*) FILTER (WHERE status = 'succeeded') AS succeeded, count(*) FILTER (WHERE status = 'failed') AS failed,
                          count(*) FILTER (WHERE status = 'canceled') AS canceled, count(*) FILTER (WHERE status = 'expired') AS expired
                     FROM predictions WHERE model LIKE 'model-%' AND created_at >= $2::bigint GROUP BY 1, 2, 3) counts
           ON CONFLICT DO NOTHING`,
          [span, span === 3_600 ? 0 : Date.now() - SHORT_STEPS_MS],
        );
}
