/** Ends what waits for an endpoint that was disabled or removed, in statements of bounded length: it may be a million. */
import type { Db } from '../postgres/db.ts';

/** Rows in one statement; some 50 ms, of the second within which the API answers. */
export const CANCEL_BATCH = 1_000;

// By the index of lanes, which has the pending alone; the lane of an endpoint is its id. One that was enabled again
// meanwhile keeps what it has.
const CANCEL = `
  UPDATE webhook_deliveries SET status = 'canceled', next_at = NULL, completed_at = $2
   WHERE status = 'pending' AND id = ANY (ARRAY(
     SELECT id FROM webhook_deliveries
      WHERE status = 'pending' AND webhook_lane(tenant, endpoint, url) = $1::uuid::text
        AND NOT EXISTS (SELECT FROM webhook_endpoints WHERE id = $1 AND state = 'enabled')
      ORDER BY next_at LIMIT ${CANCEL_BATCH} FOR UPDATE))`;

/** Cancels the first of them. Whether there may be more; call `cancelRest` then, once this is committed. */
export async function cancelFirst(db: Db, endpoint: string, nowMs: number): Promise<boolean> {
  const { rowCount } = await db.query(CANCEL, [endpoint, nowMs]);
  return rowCount === CANCEL_BATCH;
}

/** Cancels what is left. Never rejects: what it does not come to is canceled when a worker claims it. */
export async function cancelRest(db: Db, endpoint: string, nowMs: number): Promise<void> {
  try {
    while (await cancelFirst(db, endpoint, nowMs)) {
      // Until a batch is not full.
    }
  } catch {
    // Whoever claims the others finds their endpoint disabled or gone.
  }
}
