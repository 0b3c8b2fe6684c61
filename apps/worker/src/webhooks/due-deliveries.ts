/** Deliveries that are due, as Postgres has them. A claim is a later `next_at`: who dies with it loses it by itself. */
import type { Db } from '@millrace/shared/postgres/db';
import { EVENT_COLUMNS, type StoredEvent } from '@millrace/shared/webhooks/event';
import type { StoredSecret } from '@millrace/shared/webhooks/secret';

export interface ClaimedDelivery {
  id: string;
  tenant: string;
  endpoint: string | null;
  url: string;
  lane: string;
  /** Attempts made before this one, in all and before the last redelivery by hand. */
  attempts: number;
  attemptsBefore: number;
  /** Redeliveries by hand. */
  round: number;
  /** Unix ms at which the claim ends, unless it is renewed. */
  heldUntil: number;
  /** Null where the prediction named the address itself; `gone` when the endpoint was deleted. */
  state: 'enabled' | 'disabled' | 'gone' | null;
  failingSince: number | null;
  /** Empty for a tenant whose predictions never named an address before. */
  secrets: readonly StoredSecret[];
  event: StoredEvent;
}

type Row = Omit<ClaimedDelivery, 'event' | 'lane'> & StoredEvent & { eventId: string };

// For this statement's commit alone. Nobody is told of a claim before its deliveries go out, and one that Postgres loses as
// it is killed is a delivery that is due again: waiting for the disk took most of the time of a claim.
const UNSYNCED = `(SELECT set_config('synchronous_commit', 'off', true)) AS unsynced`;

// An endpoint that moved gets what waits where it is now. The ids come as an array, so that each delivery is looked up in the one partition that its id names.
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
         $3::bigint AS "heldUntil", ${EVENT_COLUMNS}
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

/** Takes what is due in a lane, the longest due first; nobody else gets it until `heldUntil`. */
export async function claimDue(db: Db, { lane, limit, nowMs, heldUntil }: Claim): Promise<ClaimedDelivery[]> {
  const values = [lane, nowMs, heldUntil, limit];
  const { rows } = await db.query<Row>({ name: 'webhook-claim', text: CLAIM, values });
  return rows.map(({ eventId, ...row }) => ({ ...row, lane, event: { ...row, id: eventId } }));
}

/**
 * Holds claims until another time, or with the present one gives them back. Those that are no longer ours, since they
 * were settled or had ended, stay as they are.
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

/** Ends deliveries whose endpoint was disabled or deleted as they were written. */
export async function cancelClaims(db: Db, claims: readonly ClaimedDelivery[], nowMs: number): Promise<void> {
  if (claims.length === 0) return;
  await db.query(
    `UPDATE webhook_deliveries SET status = 'canceled', next_at = NULL, completed_at = $2
      WHERE id = ANY ($1::uuid[]) AND status = 'pending'`,
    [claims.map(({ id }) => id), nowMs],
  );
}

/** The secrets of a tenant's own addresses; the first time they are needed, `fresh` becomes the first of them. */
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
