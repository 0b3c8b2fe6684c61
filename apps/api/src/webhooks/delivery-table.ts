/** Statements on the tables `webhook_deliveries` and `webhook_attempts`. Each statement is limited to one tenant. */
import { type Db, inTransaction, type Pool } from '@millrace/shared/postgres/db';
import { firstRow } from '@millrace/shared/postgres/first-row';
import { idBoundAt } from '@millrace/shared/predictions/ids';
import { insertEndpointEvent } from '@millrace/shared/webhooks/endpoint-event';
import type { Destination } from '@millrace/shared/webhooks/lane';

export interface Delivery extends Destination {
  id: string;
  event: string;
  type: string;
  prediction: string | null;
  status: 'pending' | 'delivered' | 'failed' | 'canceled';
  attempts: number;
  /** Times are Unix milliseconds. */
  nextAt: number | null;
  createdAt: number;
  completedAt: number | null;
}

export interface Attempt {
  delivery: string;
  number: number;
  at: number;
  latencyMs: number | null;
  status: number | null;
  error: string | null;
  reply: string | null;
}

const COLUMNS = `id, tenant, event, endpoint, url, type, prediction, status, attempts, next_at AS "nextAt",
  created_at AS "createdAt", completed_at AS "completedAt"`;

export interface DeliveryFilter {
  status: Delivery['status'] | null;
  endpoint: string | null;
  prediction: string | null;
  /** Only ids from this id, and before the other. */
  fromId: string | null;
  toId: string | null;
  /** By creation. */
  order: 'asc' | 'desc';
  limit: number;
  /** The last id of the previous page; null for the first page. */
  after: string | null;
}

// A literal condition, so that Postgres can use the partial index of undelivered deliveries.
const UNDELIVERED = `AND status <> 'delivered'`;

export async function listDeliveries(db: Db, tenant: string, filter: DeliveryFilter): Promise<Delivery[]> {
  const { rows } = await db.query<Delivery>(
    `SELECT ${COLUMNS} FROM webhook_deliveries
      WHERE tenant = $1 AND ($2::text IS NULL OR status = $2) ${(filter.status ?? 'delivered') === 'delivered' ? '' : UNDELIVERED} AND ($3::uuid IS NULL OR endpoint = $3)
        AND ($4::uuid IS NULL OR prediction = $4) AND ($5::uuid IS NULL OR id ${filter.order === 'asc' ? '>' : '<'} $5)
        AND ($7::uuid IS NULL OR id >= $7) AND ($8::uuid IS NULL OR id < $8)
      ORDER BY id ${filter.order} LIMIT $6`,
    [tenant, filter.status, filter.endpoint, filter.prediction, filter.after, filter.limit, filter.fromId, filter.toId],
  );
  return rows;
}

export async function findDelivery(db: Db, tenant: string, id: string): Promise<Delivery | undefined> {
  const { rows } = await db.query<Delivery>(`SELECT ${COLUMNS} FROM webhook_deliveries WHERE tenant = $1 AND id = $2`, [
    tenant,
    id,
  ]);
  return rows[0];
}

/** Returns the attempts of the deliveries, sorted by delivery and number. */
export async function listAttempts(db: Db, deliveries: readonly string[]): Promise<Attempt[]> {
  if (deliveries.length === 0) return [];
  const { rows } = await db.query<Attempt>(
    `SELECT delivery, number, at, latency_ms AS "latencyMs", status, error, reply
       FROM webhook_attempts WHERE delivery = ANY ($1::uuid[]) ORDER BY delivery, number`,
    [deliveries],
  );
  return rows;
}

// The delivery goes to an enabled endpoint, or to a URL that the prediction named.
const REACHABLE = `(endpoint IS NULL OR EXISTS (
  SELECT FROM webhook_endpoints e WHERE e.id = endpoint AND e.state = 'enabled'))`;
const REOPEN = `status = 'pending', completed_at = NULL, attempts_before = attempts, round = round + 1`;

export interface RedeliverParams {
  tenant: string;
  id: string;
  nowMs: number;
}

/** Makes a delivery due at `nowMs` and restarts its schedule. Returns undefined when the endpoint is deleted or disabled. */
export async function redeliver(db: Db, { tenant, id, nowMs }: RedeliverParams): Promise<Delivery | undefined> {
  const { rows } = await db.query<Delivery>(
    `UPDATE webhook_deliveries SET ${REOPEN}, next_at = $3
      WHERE tenant = $1 AND id = $2 AND ${REACHABLE} RETURNING ${COLUMNS}`,
    [tenant, id, nowMs],
  );
  return rows[0];
}

export interface RedeliveryRange {
  /** Creation time of the deliveries, Unix ms. */
  fromMs: number;
  /** Exclusive. */
  toMs: number;
  endpoint: string | null;
  prediction: string | null;
  statuses: readonly Delivery['status'][];
}

/** Deliveries in one statement: few enough to finish within the statement timeout of one second. */
const REDELIVER_BATCH = 1_000;
/** A call begins no further statement after this time. */
const REDELIVER_MS = 5_000;
const NO_ID = '00000000-0000-0000-0000-000000000000';

// The ids are passed as an array, so that Postgres looks up each id in its partition.
const REDELIVER = `
  WITH found AS (
    SELECT id FROM webhook_deliveries
     WHERE tenant = $1 AND id > $2 AND id >= $3 AND id < $4 AND ($5::uuid IS NULL OR endpoint = $5)
       AND ($8::uuid IS NULL OR prediction = $8) AND status = ANY ($6::text[]) ${UNDELIVERED} AND ${REACHABLE}
     ORDER BY id LIMIT $9
  ), reopened AS (
    UPDATE webhook_deliveries SET ${REOPEN}, next_at = $7
     WHERE id = ANY (ARRAY(SELECT id FROM found)) AND status = ANY ($6::text[])
    RETURNING tenant, endpoint, url
  )
  SELECT (SELECT count(*) FROM found)::int AS found, (SELECT count(*) FROM reopened)::int AS count, (SELECT id FROM found ORDER BY id DESC LIMIT 1) AS last,
         coalesce((SELECT json_agg(d) FROM (SELECT DISTINCT tenant, endpoint, url FROM reopened) d), '[]') AS destinations`;

interface RedeliveredBatch {
  found: number;
  count: number;
  last: string | null;
  destinations: Destination[];
}

export interface RedeliverRangeParams {
  tenant: string;
  range: RedeliveryRange;
  nowMs: number;
  /** The last id of the previous call; null for the first call. */
  after: string | null;
  limit: number;
  /** Receives the distinct destinations of each batch after its commit. */
  onBatch(destinations: readonly Destination[]): Promise<void>;
}

export interface Redelivery {
  matched: number;
  done: number;
  /** The last id, if the range may have more deliveries. */
  last: string | null;
}

/**
 * Makes the undelivered deliveries of a range due at `nowMs`, oldest first, up to `limit` and for a few seconds. Each batch commits
 * on its own, so an error keeps the earlier batches. A repeated call continues with the remaining deliveries.
 */
export async function redeliverRange(db: Db, params: RedeliverRangeParams): Promise<Redelivery> {
  const { tenant, range, nowMs, limit, onBatch } = params;
  const [from, to] = [idBoundAt(range.fromMs), idBoundAt(range.toMs)];
  const endsAt = performance.now() + REDELIVER_MS;
  const done: Redelivery = { matched: 0, done: 0, last: params.after };
  for (;;) {
    const size = Math.min(REDELIVER_BATCH, limit - done.matched);
    const { endpoint, statuses, prediction } = range;
    const values = [tenant, done.last ?? NO_ID, from, to, endpoint, statuses, nowMs, prediction, size];
    const batch = firstRow((await db.query<RedeliveredBatch>(REDELIVER, values)).rows);
    done.matched += batch.found;
    done.done += batch.count;
    done.last = batch.last ?? done.last;
    if (batch.destinations.length > 0) await onBatch(batch.destinations);
    if (batch.found < size) return { ...done, last: null };
    if (done.matched >= limit || performance.now() > endsAt) return done;
  }
}

export interface InsertTestParams {
  /** The base URL of the API in the event. */
  publicUrl: string | undefined;
  tenant: string;
  endpoint: { id: string; url: string };
  nowMs: number;
}

/** Inserts a test event of an endpoint, and the delivery of the event. */
export function insertTest(pool: Pool, { tenant, endpoint, nowMs, publicUrl }: InsertTestParams): Promise<Delivery> {
  return inTransaction(pool, async (db) => {
    const type = 'webhook_endpoint.test';
    const event = await insertEndpointEvent(db, { tenant, endpoint, type, publicUrl }, nowMs);
    const { rows } = await db.query<Delivery>(
      `INSERT INTO webhook_deliveries (id, tenant, event, endpoint, url, type, next_at, created_at)
       VALUES (millrace_uuid7($6), $1, $2, $3, $4, $5, $6, $6) RETURNING ${COLUMNS}`,
      [tenant, event, endpoint.id, endpoint.url, type, nowMs],
    );
    return firstRow(rows);
  });
}
