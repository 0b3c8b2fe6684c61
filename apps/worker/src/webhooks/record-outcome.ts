/** Writes the results of attempts in batches: the attempts, the state of their deliveries, and the health of their endpoints. */
import { type Db, inTransaction, type Pool } from '@millrace/shared/postgres/db';
import { cancelFirst, cancelRest } from '@millrace/shared/webhooks/cancel-pending';
import { insertEndpointEvent } from '@millrace/shared/webhooks/endpoint-event';
import { DISABLE_AFTER_MS, type DisableReason } from './retry-policy.ts';

/** The result of one attempt. */
export interface AttemptRecord {
  delivery: string;
  tenant: string;
  endpoint: string | null;
  /** The attempt's number, from 1. */
  number: number;
  /** Redeliveries by hand before the attempt. */
  round: number;
  /** Start of the attempt, Unix ms. */
  at: number;
  latencyMs: number;
  /** Null when no response arrived. `error` then has the reason. */
  replyStatus: number | null;
  error: string | null;
  reply: string;
  status: 'delivered' | 'pending' | 'failed';
  nextAt: number | null;
  disable: DisableReason | null;
}

// A delivery that was canceled during its attempt becomes `delivered` when the attempt succeeded. A delivery that was redelivered
// by hand during its attempt takes its state from the next attempt.
const DECIDES = `d.round = s.round AND (d.status = 'pending' OR (d.status = 'canceled' AND s.status = 'delivered'))`;

// A single statement needs a single round trip. `failing_since` of an endpoint is the first failure since the last success and is
// written only on a change: most attempts write no endpoint.
const SETTLE = `
  WITH settled AS (
    SELECT * FROM unnest($1::uuid[], $2::int[], $3::int[], $4::text[], $5::bigint[], $6::text[], $7::bigint[],
        $8::float8[], $9::int[], $10::text[], $11::text[])
      AS s (id, number, round, status, next_at, tenant, at, latency_ms, reply_status, error, reply)
  ), attempts AS (
    INSERT INTO webhook_attempts (delivery, number, tenant, at, latency_ms, status, error, reply)
    SELECT id, number, tenant, at, latency_ms, reply_status, error, reply FROM settled
    ON CONFLICT (delivery, number) DO NOTHING
  ), deliveries AS (
    UPDATE webhook_deliveries d
       SET attempts = s.number,
           status = CASE WHEN ${DECIDES} THEN s.status ELSE d.status END,
           next_at = CASE WHEN ${DECIDES} THEN s.next_at ELSE d.next_at END,
           completed_at = CASE WHEN NOT (${DECIDES}) THEN d.completed_at WHEN s.status <> 'pending' THEN $12::bigint END
      FROM settled s
     WHERE d.id = s.id AND d.id = ANY ($1::uuid[]) AND d.attempts = s.number - 1
  )
  UPDATE webhook_endpoints e SET failing_since = CASE WHEN h.well THEN NULL ELSE h.at END
    FROM unnest($13::uuid[], $14::boolean[], $15::bigint[]) AS h (id, well, at)
   WHERE e.id = h.id AND h.well = (e.failing_since IS NOT NULL)`;

export interface RecordContext {
  nowMs: number;
  /** The base URL of the API in events. */
  publicUrl: string | undefined;
}

/** Writes all records or none. A delivery that already has an attempt of that number stays unchanged. */
export async function recordAttempts(
  pool: Pool,
  rows: readonly AttemptRecord[],
  { nowMs, publicUrl }: RecordContext,
): Promise<void> {
  // Sorted by id, so that two workers lock the rows in the same order and cannot deadlock.
  const sorted = [...rows].sort((a, b) => (a.delivery < b.delivery ? -1 : 1));
  const disabling = disabledBy(sorted);
  if (disabling.length === 0) return write(pool, sorted, nowMs);
  const rest = await inTransaction(pool, async (db) => {
    await write(db, sorted, nowMs);
    const more: string[] = [];
    for (const disabled of disabling) {
      if (await disable(db, disabled, { nowMs, publicUrl })) more.push(disabled.id);
    }
    return more;
  });
  // Runs in the background: results of other endpoints share this write and must not wait.
  for (const id of rest) void cancelRest(pool, id, nowMs);
}

async function write(db: Db, rows: readonly AttemptRecord[], nowMs: number): Promise<void> {
  const health = healthBy(rows);
  await db.query({
    name: 'webhook-settle',
    text: SETTLE,
    values: [
      rows.map(({ delivery }) => delivery),
      rows.map(({ number }) => number),
      rows.map(({ round }) => round),
      rows.map(({ status }) => status),
      rows.map(({ nextAt }) => nextAt),
      rows.map(({ tenant }) => tenant),
      rows.map(({ at }) => at),
      rows.map(({ latencyMs }) => latencyMs),
      rows.map(({ replyStatus }) => replyStatus),
      rows.map(({ error }) => error),
      rows.map(({ reply }) => reply),
      nowMs,
      health.map(([id]) => id),
      health.map(([, { status }]) => status === 'delivered'),
      health.map(([, { at }]) => at),
    ],
  });
}

/** Selects one attempt for each endpoint: the last success, or without a success the first attempt. */
function healthBy(rows: readonly AttemptRecord[]): [string, AttemptRecord][] {
  const deciding = new Map<string, AttemptRecord>();
  for (const row of [...rows].sort((a, b) => a.at - b.at)) {
    if (row.endpoint === null) continue;
    if (row.status === 'delivered' || !deciding.has(row.endpoint)) deciding.set(row.endpoint, row);
  }
  return [...deciding].sort(([a], [b]) => (a < b ? -1 : 1));
}

interface DisabledEndpoint {
  id: string;
  reason: DisableReason;
  /** Start of the attempt that disables the endpoint, Unix ms. */
  at: number;
}

function disabledBy(rows: readonly AttemptRecord[]): DisabledEndpoint[] {
  const disabled = new Map<string, DisabledEndpoint>();
  for (const { endpoint: id, disable: reason, at } of rows) {
    if (id !== null && reason !== null) disabled.set(id, { id, reason, at });
  }
  return [...disabled.values()].sort((a, b) => (a.id < b.id ? -1 : 1));
}

const REASONS: Readonly<Record<DisableReason, string>> = {
  gone: 'The endpoint returned 410 Gone.',
  failing: 'Every attempt failed for five days.',
};

/**
 * Disables an endpoint, cancels pending deliveries, and adds an event to the feed. Returns whether pending deliveries remain.
 * Skipped if the endpoint was edited after the attempt of `at` started: the edit may have fixed the endpoint.
 */
async function disable(
  db: Db,
  { id, reason, at }: DisabledEndpoint,
  { nowMs, publicUrl }: RecordContext,
): Promise<boolean> {
  const { rows } = await db.query<{ tenant: string; url: string }>(
    `UPDATE webhook_endpoints SET state = 'disabled', reason = $2, reason_code = $7, updated_at = $3
      WHERE id = $1 AND state = 'enabled' AND ($4 OR failing_since <= $5) AND updated_at <= $6 RETURNING tenant, url`,
    [id, REASONS[reason], nowMs, reason === 'gone', nowMs - DISABLE_AFTER_MS, at, reason],
  );
  const [endpoint] = rows;
  if (!endpoint) return false;
  const more = await cancelFirst(db, id, nowMs);
  const event = {
    tenant: endpoint.tenant,
    endpoint: { id, url: endpoint.url },
    type: 'webhook_endpoint.disabled',
    publicUrl,
  } as const;
  await insertEndpointEvent(db, { ...event, more: { reason, detail: REASONS[reason] } }, nowMs);
  return more;
}
