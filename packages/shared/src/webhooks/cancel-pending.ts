/**
 * Cancels the pending deliveries of an endpoint that was disabled or deleted. An endpoint may have a million pending deliveries,
 * so each statement is bounded.
 */
import type { Db } from '../postgres/db.ts';

/** Rows in one statement. A statement takes about 50 ms, and the API responds within a second. */
export const CANCEL_BATCH = 1_000;

// Uses the index of lanes, which contains only pending deliveries. The lane of an endpoint is the endpoint's id. An endpoint that
// was enabled again meanwhile keeps its deliveries.
const CANCEL = `
  UPDATE webhook_deliveries SET status = 'canceled', next_at = NULL, completed_at = $2
   WHERE status = 'pending' AND id = ANY (ARRAY(
     SELECT id FROM webhook_deliveries
      WHERE status = 'pending' AND webhook_lane(tenant, endpoint, url) = $1::uuid::text
        AND NOT EXISTS (SELECT FROM webhook_endpoints WHERE id = $1 AND state = 'enabled')
      ORDER BY next_at LIMIT ${CANCEL_BATCH} FOR UPDATE))`;

/** Cancels the first batch. Returns whether more deliveries may be pending. Call `cancelRest` after the commit to cancel the rest. */
export async function cancelFirst(db: Db, endpoint: string, nowMs: number): Promise<boolean> {
  const { rowCount } = await db.query(CANCEL, [endpoint, nowMs]);
  return rowCount === CANCEL_BATCH;
}

/** Cancels the remaining batches. Never rejects: a worker cancels a remaining delivery when the worker claims the delivery. */
export async function cancelRest(db: Db, endpoint: string, nowMs: number): Promise<void> {
  try {
    while (await cancelFirst(db, endpoint, nowMs)) {
      // Each turn cancels a full batch.
    }
  } catch {
    // A worker that claims a remaining delivery finds the endpoint disabled or deleted, and cancels the delivery.
  }
}
