/** What happened to a prediction after its end: the record of the end, and the webhook deliveries. */
import type { Db } from '../postgres/db.ts';
import { idBoundAt, timeOfId } from '../predictions/ids.ts';
import type { Recorded } from '../predictions/timeline.ts';

/** A delivery is written after its prediction was created. The clocks of two processes differ by less than this time. */
const SKEW_MS = 60_000;
/** The most deliveries of one prediction in its timeline. */
const DELIVERIES = 20;

const FIND = `
  SELECT p.recorded_at AS "recordedAt", coalesce((
      SELECT json_agg(at ORDER BY at) FROM (
        SELECT d.completed_at AS at FROM webhook_deliveries d
         WHERE d.prediction = p.id AND d.id >= $3 AND d.tenant = $2 AND d.status = 'delivered' AND d.completed_at IS NOT NULL
         ORDER BY d.completed_at LIMIT ${DELIVERIES}) delivered), '[]') AS "deliveredAt"
    FROM predictions p
   WHERE p.id = $1 AND p.tenant = $2 AND p.status NOT IN ('queued', 'running')`;

/** Undefined while the ledger does not have the end. */
export async function findRecorded(db: Db, tenant: string, id: string): Promise<Recorded | undefined> {
  const { rows } = await db.query<Recorded>({
    name: 'find-recorded',
    text: FIND,
    values: [id, tenant, idBoundAt(Math.max(0, timeOfId(id) - SKEW_MS))],
  });
  return rows[0];
}
