/** What came of attempts, written many at a time: the attempts themselves, their deliveries and their endpoints. */
import { type Db, inTransaction, type Pool } from '@millrace/shared/db';
import { insertEndpointEvent } from '@millrace/shared/webhooks/endpoint-event';
import { DISABLE_AFTER_MS, type DisableReason } from '@millrace/shared/webhooks/verdict';

export interface Settled {
  delivery: string;
  tenant: string;
  endpoint: string | null;
  /** The attempt's number, from 1. */
  number: number;
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

/** Writes all or none. A delivery that has had an attempt of that number keeps what it has. */
export async function settle(pool: Pool, rows: readonly Settled[], nowMs: number): Promise<void> {
  await inTransaction(pool, async (db) => {
    // In the order of ids, so that two workers that meet do not wait for each other in a circle.
    const sorted = [...rows].sort((a, b) => (a.delivery < b.delivery ? -1 : 1));
    await insertAttempts(db, sorted);
    await updateDeliveries(db, sorted, nowMs);
    await updateEndpoints(db, sorted);
    for (const [id, reason] of disabledBy(sorted)) await disable(db, id, reason, nowMs);
  });
}

async function insertAttempts(db: Db, rows: readonly Settled[]): Promise<void> {
  await db.query({
    name: 'webhook-attempts',
    text: `INSERT INTO webhook_attempts (delivery, number, tenant, at, latency_ms, status, error, reply)
      SELECT * FROM unnest($1::uuid[], $2::int[], $3::text[], $4::bigint[], $5::float8[], $6::int[], $7::text[], $8::text[])
      ON CONFLICT (delivery, number) DO NOTHING`,
    values: [
      rows.map(({ delivery }) => delivery),
      rows.map(({ number }) => number),
      rows.map(({ tenant }) => tenant),
      rows.map(({ at }) => at),
      rows.map(({ latencyMs }) => latencyMs),
      rows.map(({ replyStatus }) => replyStatus),
      rows.map(({ error }) => error),
      rows.map(({ reply }) => reply),
    ],
  });
}

// What was canceled while its attempt was under way and then arrived, did arrive.
async function updateDeliveries(db: Db, rows: readonly Settled[], nowMs: number): Promise<void> {
  await db.query({
    name: 'webhook-settle',
    text: `UPDATE webhook_deliveries d
        SET status = s.status, attempts = s.number, next_at = s.next_at,
            completed_at = CASE WHEN s.status = 'pending' THEN NULL ELSE $5::bigint END
       FROM unnest($1::uuid[], $2::int[], $3::text[], $4::bigint[]) AS s (id, number, status, next_at)
      WHERE d.id = s.id AND d.attempts = s.number - 1
        AND (d.status = 'pending' OR (d.status = 'canceled' AND s.status = 'delivered'))`,
    values: [
      rows.map(({ delivery }) => delivery),
      rows.map(({ number }) => number),
      rows.map(({ status }) => status),
      rows.map(({ nextAt }) => nextAt),
      nowMs,
    ],
  });
}

/** The first failure since the last success, kept only as it changes: most attempts write nothing here. */
async function updateEndpoints(db: Db, rows: readonly Settled[]): Promise<void> {
  const last = new Map<string, Settled>();
  for (const row of [...rows].sort((a, b) => a.at - b.at)) {
    if (row.endpoint !== null && last.get(row.endpoint)?.status !== 'delivered') last.set(row.endpoint, row);
  }
  if (last.size === 0) return;
  const seen = [...last].sort(([a], [b]) => (a < b ? -1 : 1));
  await db.query({
    name: 'webhook-health',
    text: `UPDATE webhook_endpoints e SET failing_since = CASE WHEN s.well THEN NULL ELSE s.at END
       FROM unnest($1::uuid[], $2::boolean[], $3::bigint[]) AS s (id, well, at)
      WHERE e.id = s.id AND s.well = (e.failing_since IS NOT NULL)`,
    values: [
      seen.map(([id]) => id),
      seen.map(([, { status }]) => status === 'delivered'),
      seen.map(([, { at }]) => at),
    ],
  });
}

function disabledBy(rows: readonly Settled[]): [string, DisableReason][] {
  const disabled = new Map<string, DisableReason>();
  for (const { endpoint, disable } of rows) {
    if (endpoint !== null && disable !== null && disabled.get(endpoint) !== 'gone') disabled.set(endpoint, disable);
  }
  return [...disabled].sort(([a], [b]) => (a < b ? -1 : 1));
}

const REASONS: Readonly<Record<DisableReason, string>> = {
  gone: 'It answered 410 Gone.',
  failing: 'Every attempt of five days failed.',
};

/** Disables an endpoint, cancels what it still had to get, and says so in the feed. */
async function disable(db: Db, id: string, reason: DisableReason, nowMs: number): Promise<void> {
  const { rows } = await db.query<{ tenant: string; url: string }>(
    `UPDATE webhook_endpoints SET state = 'disabled', reason = $2, updated_at = $3
      WHERE id = $1 AND state = 'enabled' AND ($4 OR failing_since <= $5) RETURNING tenant, url`,
    [id, REASONS[reason], nowMs, reason === 'gone', nowMs - DISABLE_AFTER_MS],
  );
  const [endpoint] = rows;
  if (!endpoint) return;
  await db.query(
    `UPDATE webhook_deliveries SET status = 'canceled', next_at = NULL, completed_at = $2
      WHERE endpoint = $1 AND status = 'pending'`,
    [id, nowMs],
  );
  const event = {
    tenant: endpoint.tenant,
    endpoint: { id, url: endpoint.url },
    type: 'webhook_endpoint.disabled',
  } as const;
  await insertEndpointEvent(db, { ...event, more: { reason: REASONS[reason] } }, nowMs);
}
