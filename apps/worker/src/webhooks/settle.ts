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

/** Writes all or none. A delivery that has had an attempt of that number keeps what it has. */
export async function settle(pool: Pool, rows: readonly Settled[], nowMs: number): Promise<void> {
  await inTransaction(pool, async (db) => {
    // In the order of ids, so that two workers that meet do not wait for each other in a circle.
    const sorted = [...rows].sort((a, b) => (a.delivery < b.delivery ? -1 : 1));
    await insertAttempts(db, sorted);
    await updateDeliveries(db, sorted, nowMs);
    await updateEndpoints(db, sorted);
    for (const [id, { disable: reason, at }] of disabledBy(sorted)) await disable(db, id, reason, at, nowMs);
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

// What was canceled while its attempt was under way and then arrived, did arrive. What was asked for again meanwhile has
// its fate from the next attempt.
const DECIDES = `d.round = s.round AND (d.status = 'pending' OR (d.status = 'canceled' AND s.status = 'delivered'))`;

async function updateDeliveries(db: Db, rows: readonly Settled[], nowMs: number): Promise<void> {
  await db.query({
    name: 'webhook-settle',
    text: `UPDATE webhook_deliveries d
        SET attempts = s.number,
            status = CASE WHEN ${DECIDES} THEN s.status ELSE d.status END,
            next_at = CASE WHEN ${DECIDES} THEN s.next_at ELSE d.next_at END,
            completed_at = CASE WHEN NOT (${DECIDES}) THEN d.completed_at WHEN s.status <> 'pending' THEN $6::bigint END
       FROM unnest($1::uuid[], $2::int[], $3::int[], $4::text[], $5::bigint[]) AS s (id, number, round, status, next_at)
      WHERE d.id = s.id AND d.attempts = s.number - 1`,
    values: [
      rows.map(({ delivery }) => delivery),
      rows.map(({ number }) => number),
      rows.map(({ round }) => round),
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
 * Disables an endpoint, cancels what it still had to get, and says so in the feed. Not when its owner changed it after
 * the attempt of `at` began: what that found may be mended.
 */
async function disable(db: Db, id: string, reason: DisableReason, at: number, nowMs: number): Promise<void> {
  const { rows } = await db.query<{ tenant: string; url: string }>(
    `UPDATE webhook_endpoints SET state = 'disabled', reason = $2, updated_at = $3
      WHERE id = $1 AND state = 'enabled' AND ($4 OR failing_since <= $5) AND updated_at <= $6 RETURNING tenant, url`,
    [id, REASONS[reason], nowMs, reason === 'gone', nowMs - DISABLE_AFTER_MS, at],
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
