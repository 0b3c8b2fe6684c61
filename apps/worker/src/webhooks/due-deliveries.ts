/** Statements that claim due deliveries. A claim is a later `next_at`, so the claim of a worker that dies ends without a clean-up. */
import type { Db } from '@millrace/shared/postgres/db';
import { EVENT_COLUMNS, type StoredEvent } from '@millrace/shared/webhooks/event';
import type { StoredSecret } from '@millrace/shared/webhooks/secret';

export interface ClaimedDelivery {
  id: string;
  tenant: string;
  endpoint: string | null;
  url: string;
  lane: string;
  /** All earlier attempts. */
  attempts: number;
  /** The attempts before the last redelivery by hand. */
  attemptsBefore: number;
  /** Redeliveries by hand. */
  round: number;
  /** Unix ms at which an unrenewed claim ends. */
  heldUntil: number;
  /** Null when the prediction named the URL; `gone` when the endpoint was deleted. */
  state: 'enabled' | 'disabled' | 'gone' | null;
  failingSince: number | null;
  /** Empty for a tenant whose predictions have never named a URL before. */
  secrets: readonly StoredSecret[];
  event: StoredEvent;
  /** The trace context of the prediction: see RequestOptions. */
  trace: string | null;
}

type Row = Omit<ClaimedDelivery, 'event' | 'lane'> & StoredEvent & { eventId: string };

// Applies to the commit of this statement alone. The wait for the disk took most of the time of a claim. A claim that a killed
// Postgres loses only makes its delivery due again, and nobody relies on a claim before the attempt starts.
const UNSYNCED = `(SELECT set_config('synchronous_commit', 'off', true)) AS unsynced`;

// Pending deliveries go to the present URL of their endpoint. The ids are passed as an array, so that Postgres looks up each
// delivery in the one partition that its id names.
const CLAIM = `
  WITH claimed AS (
    UPDATE webhook_deliveries SET next_at = $3 FROM ${UNSYNCED}
     WHERE status = 'pending' AND id = ANY (ARRAY(
       SELECT id FROM webhook_deliveries
        WHERE status = 'pending' AND webhook_lane(tenant, endpoint, url) = $1 AND next_at <= $2
        ORDER BY next_at, id LIMIT $4 FOR UPDATE SKIP LOCKED))
    RETURNING id, tenant, event, endpoint, url, attempts, attempts_before, round
  )
  SELECT d.id, d.tenant, d.endpoint, coalesce(e.url, d.url) AS url, d.attempts, d.attempts_before AS "attemptsBefore", d.round, d.event AS "eventId",
         CASE WHEN d.endpoint IS NOT NULL THEN coalesce(e.state, 'gone') END AS state,
         e.failing_since AS "failingSince", coalesce(e.secrets, t.webhook_secrets, '[]') AS secrets,
         $3::bigint AS "heldUntil", p.options->>'trace' AS trace, ${EVENT_COLUMNS}
    FROM claimed d
    LEFT JOIN webhook_endpoints e ON e.id = d.endpoint
    LEFT JOIN tenants t ON t.tenant = d.tenant AND d.endpoint IS NULL
    JOIN events ev ON ev.id = d.event
    LEFT JOIN predictions p ON p.id = ev.prediction
   ORDER BY d.id`;

export interface Claim {
  lane: string;
  limit: number;
  nowMs: number;
  heldUntil: number;
}

/** Claims due deliveries of a lane, the longest due first. No other worker claims these deliveries until `heldUntil`. */
export async function claimDue(db: Db, { lane, limit, nowMs, heldUntil }: Claim): Promise<ClaimedDelivery[]> {
  const values = [lane, nowMs, heldUntil, limit];
  const { rows } = await db.query<Row>({ name: 'webhook-claim', text: CLAIM, values });
  return rows.map(({ eventId, ...row }) => ({ ...row, lane, event: { ...row, id: eventId } }));
}

/**
 * Moves the end of claims to `atMs`. The present time returns the claims. Deliveries that this process no longer holds, because
 * they were recorded or their claims had ended, stay unchanged.
 */
export async function holdUntil(db: Db, claims: readonly ClaimedDelivery[], atMs: number): Promise<void> {
  if (claims.length === 0) return;
  const { rows } = await db.query<{ id: string }>(
    `UPDATE webhook_deliveries d SET next_at = $3
       FROM unnest($1::uuid[], $2::bigint[]) AS held (id, until), ${UNSYNCED}
      WHERE d.id = held.id AND d.status = 'pending' AND d.next_at = held.until
      RETURNING d.id`,
    [claims.map(({ id }) => id), claims.map(({ heldUntil }) => heldUntil), atMs],
  );
  const held = new Set(rows.map(({ id }) => id));
  for (const claim of claims) if (held.has(claim.id)) claim.heldUntil = atMs;
}

/** Cancels deliveries whose endpoint was disabled or deleted while they were written. */
export async function cancelClaims(db: Db, claims: readonly ClaimedDelivery[], nowMs: number): Promise<void> {
  if (claims.length === 0) return;
  await db.query(
    `UPDATE webhook_deliveries SET status = 'canceled', next_at = NULL, completed_at = $2
      WHERE id = ANY ($1::uuid[]) AND status = 'pending'`,
    [claims.map(({ id }) => id), nowMs],
  );
}

/** Returns the secrets for URLs that the tenant's predictions name. On first use `fresh` becomes the first secret. */
export async function tenantSecrets(db: Db, tenant: string, fresh: string): Promise<readonly StoredSecret[]> {
  const { rows } = await db.query<{ secrets: StoredSecret[] }>(
    `INSERT INTO tenants AS t (tenant, webhook_secrets) VALUES ($1, $2)
     ON CONFLICT (tenant) DO UPDATE
       SET webhook_secrets = CASE WHEN t.webhook_secrets = '[]' THEN excluded.webhook_secrets ELSE t.webhook_secrets END
     RETURNING webhook_secrets AS secrets`,
    [tenant, JSON.stringify([{ secret: fresh, until: null }])],
  );
  return rows[0]?.secrets ?? [];
}
