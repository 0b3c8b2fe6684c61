/** Statements of the tables `webhook_deliveries` and `webhook_attempts`, each within one tenant. */
import { type Db, inTransaction, type Pool } from '@millrace/shared/postgres/db';
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
  limit: number;
  /** Only what is older than this id. */
  before: string | null;
}

// Said in the statement itself, so that the index of what did not arrive can serve it.
const UNDELIVERED = `AND status <> 'delivered'`;

/** Newest first. */
export async function listDeliveries(db: Db, tenant: string, filter: DeliveryFilter): Promise<Delivery[]> {
  const { rows } = await db.query<Delivery>(
    `SELECT ${COLUMNS} FROM webhook_deliveries
      WHERE tenant = $1 AND ($2::text IS NULL OR status = $2) ${(filter.status ?? 'delivered') === 'delivered' ? '' : UNDELIVERED} AND ($3::uuid IS NULL OR endpoint = $3)
        AND ($4::uuid IS NULL OR prediction = $4) AND ($5::uuid IS NULL OR id < $5)
      ORDER BY id DESC LIMIT $6`,
    [tenant, filter.status, filter.endpoint, filter.prediction, filter.before, filter.limit],
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

/** Of the deliveries given, each in its order. */
export async function listAttempts(db: Db, deliveries: readonly string[]): Promise<Attempt[]> {
  if (deliveries.length === 0) return [];
  const { rows } = await db.query<Attempt>(
    `SELECT delivery, number, at, latency_ms AS "latencyMs", status, error, reply
       FROM webhook_attempts WHERE delivery = ANY ($1::uuid[]) ORDER BY delivery, number`,
    [deliveries],
  );
  return rows;
}

// To an endpoint that is there and enabled, or to an address that its prediction named.
const REACHABLE = `(endpoint IS NULL OR EXISTS (
  SELECT FROM webhook_endpoints e WHERE e.id = endpoint AND e.state = 'enabled'))`;
const AGAIN = `status = 'pending', completed_at = NULL, attempts_before = attempts, round = round + 1`;

/** Makes a delivery due at `nowMs`, with the whole schedule before it. Undefined when its endpoint is gone or disabled. */
export async function redeliver(db: Db, tenant: string, id: string, nowMs: number): Promise<Delivery | undefined> {
  const { rows } = await db.query<Delivery>(
    `UPDATE webhook_deliveries SET ${AGAIN}, next_at = $3
      WHERE tenant = $1 AND id = $2 AND ${REACHABLE} RETURNING ${COLUMNS}`,
    [tenant, id, nowMs],
  );
  return rows[0];
}

export interface RedeliveryRange {
  /** When they were made; Unix ms, `toMs` not included. */
  fromMs: number;
  toMs: number;
  endpoint: string | null;
  statuses: readonly Delivery['status'][];
}

/** Deliveries in one statement, of the second within which it must be over. */
const REDELIVER_BATCH = 1_000;
const NO_ID = '00000000-0000-0000-0000-000000000000';

// The ids come as an array, so that each is looked up in its partition.
const REDELIVER = `
  WITH found AS (
    SELECT id FROM webhook_deliveries
     WHERE tenant = $1 AND id > $2 AND id >= $3 AND id < $4 AND ($5::uuid IS NULL OR endpoint = $5)
       AND status = ANY ($6::text[]) ${UNDELIVERED} AND ${REACHABLE}
     ORDER BY id LIMIT ${REDELIVER_BATCH}
  ), again AS (
    UPDATE webhook_deliveries SET ${AGAIN}, next_at = $7
     WHERE id = ANY (ARRAY(SELECT id FROM found)) AND status = ANY ($6::text[])
    RETURNING tenant, endpoint, url
  )
  SELECT (SELECT count(*) FROM again)::int AS count, (SELECT id FROM found ORDER BY id DESC LIMIT 1) AS last,
         coalesce((SELECT json_agg(d) FROM (SELECT DISTINCT tenant, endpoint, url FROM again) d), '[]') AS destinations`;

interface RedeliveredBatch {
  count: number;
  last: string | null;
  destinations: Destination[];
}

/**
 * The same for all that ended so in a time range: how many, and one for each destination. Each batch is committed by
 * itself, so that however many there are none of it is in vain; asked for again, it goes on with what is left.
 */
export async function redeliverRange(
  db: Db,
  tenant: string,
  range: RedeliveryRange,
  nowMs: number,
  onBatch: (destinations: readonly Destination[]) => Promise<void>,
): Promise<number> {
  const [from, to] = [idBoundAt(range.fromMs), idBoundAt(range.toMs)];
  let last: string | null = NO_ID;
  let total = 0;
  while (last !== null) {
    const values: unknown[] = [tenant, last, from, to, range.endpoint, range.statuses, nowMs];
    const batch: RedeliveredBatch | undefined = (await db.query<RedeliveredBatch>(REDELIVER, values)).rows[0];
    last = batch?.last ?? null;
    total += batch?.count ?? 0;
    if (batch && batch.destinations.length > 0) await onBatch(batch.destinations);
  }
  return total;
}

/** Writes a test event of an endpoint, and its delivery. */
export function insertTest(
  pool: Pool,
  tenant: string,
  endpoint: { id: string; url: string },
  nowMs: number,
): Promise<Delivery> {
  return inTransaction(pool, async (db) => {
    const type = 'webhook_endpoint.test';
    const event = await insertEndpointEvent(db, { tenant, endpoint, type }, nowMs);
    const { rows } = await db.query<Delivery>(
      `INSERT INTO webhook_deliveries (id, tenant, event, endpoint, url, type, next_at, created_at)
       VALUES (millrace_uuid7($6), $1, $2, $3, $4, $5, $6, $6) RETURNING ${COLUMNS}`,
      [tenant, event, endpoint.id, endpoint.url, type, nowMs],
    );
    return rows[0] as Delivery;
  });
}
