/** What came of attempts, written many at a time: the attempts themselves, their deliveries and their endpoints. */
import { type Db, inTransaction, type Pool } from '@millrace/shared/postgres/db';
import { cancelFirst, cancelRest } from '@millrace/shared/webhooks/cancel-pending';
import { insertEndpointEvent } from '@millrace/shared/webhooks/endpoint-event';
import { DISABLE_AFTER_MS, type DisableReason } from './retry-policy.ts';

export interface Settled {
  delivery: string;
  tenant: string;
  endpoint: string | null;
  /** The attempt's number, from 1. */
  number: number;
  /** Redeliveries by hand before it. */
  round: number;
  /** When it began, Unix ms. */
  at: number;
  latencyMs: number;
  /** Null when no reply came; `error` then says why. */
  replyStatus: number | null;
  error: string | null;
  reply: string;
  status: 'delivered' | 'pending' | 'failed';
  nextAt: number | null;
  disable: DisableReason | null;
}

// What was canceled while its attempt was under way and then arrived, did arrive. What was asked for again meanwhile has
// its fate from the next attempt.
const DECIDES = `d.round = s.round AND (d.status = 'pending' OR (d.status = 'canceled' AND s.status = 'delivered'))`;

// One statement, and so one way to Postgres and back. Of an endpoint the first failure since the last success is kept, and
// written only as it changes: most attempts write nothing there.
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

/** Writes all or none. A delivery that has had an attempt of that number keeps what it has. */
export async function settle(pool: Pool, rows: readonly Settled[], nowMs: number): Promise<void> {
  // In the order of ids, so that two workers that meet do not wait for each other in a circle.
  const sorted = [...rows].sort((a, b) => (a.delivery < b.delivery ? -1 : 1));
  const disabling = disabledBy(sorted);
  if (disabling.length === 0) return write(pool, sorted, nowMs);
  const rest = await inTransaction(pool, async (db) => {
    await write(db, sorted, nowMs);
    const more: string[] = [];
    for (const [id, { disable: reason, at }] of disabling) {
      if (await disable(db, id, reason, at, nowMs)) more.push(id);
    }
    return more;
  });
  // Others' outcomes, which share this write, do not wait for it.
  for (const id of rest) void cancelRest(pool, id, nowMs);
}

async function write(db: Db, rows: readonly Settled[], nowMs: number): Promise<void> {
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

/** One attempt for each endpoint: a success where there was one, else the first. */
function healthBy(rows: readonly Settled[]): [string, Settled][] {
  const telling = new Map<string, Settled>();
  for (const row of [...rows].sort((a, b) => a.at - b.at)) {
    if (row.endpoint === null) continue;
    if (row.status === 'delivered' || !telling.has(row.endpoint)) telling.set(row.endpoint, row);
  }
  return [...telling].sort(([a], [b]) => (a < b ? -1 : 1));
}

type Disabling = Settled & { disable: DisableReason };

function disabledBy(rows: readonly Settled[]): [string, Disabling][] {
  const disabling = new Map<string, Disabling>();
  for (const row of rows) {
    if (row.endpoint !== null && row.disable !== null) disabling.set(row.endpoint, row as Disabling);
  }
  return [...disabling].sort(([a], [b]) => (a < b ? -1 : 1));
}

const REASONS: Readonly<Record<DisableReason, string>> = {
  gone: 'It answered 410 Gone.',
  failing: 'Every attempt of five days failed.',
};

/**
 * Disables an endpoint, cancels what it still had to get, and says so in the feed; whether more is left to cancel. Not
 * when its owner changed it after the attempt of `at` began: what that found may be mended.
 */
async function disable(db: Db, id: string, reason: DisableReason, at: number, nowMs: number): Promise<boolean> {
  const { rows } = await db.query<{ tenant: string; url: string }>(
    `UPDATE webhook_endpoints SET state = 'disabled', reason = $2, updated_at = $3
      WHERE id = $1 AND state = 'enabled' AND ($4 OR failing_since <= $5) AND updated_at <= $6 RETURNING tenant, url`,
    [id, REASONS[reason], nowMs, reason === 'gone', nowMs - DISABLE_AFTER_MS, at],
  );
  const [endpoint] = rows;
  if (!endpoint) return false;
  const more = await cancelFirst(db, id, nowMs);
  const event = {
    tenant: endpoint.tenant,
    endpoint: { id, url: endpoint.url },
    type: 'webhook_endpoint.disabled',
  } as const;
  await insertEndpointEvent(db, { ...event, more: { reason: REASONS[reason] } }, nowMs);
  return more;
}
