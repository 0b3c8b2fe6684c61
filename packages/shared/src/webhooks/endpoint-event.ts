/** Inserts the events of a webhook endpoint, which belong to no prediction. */
import type { Db } from '../postgres/db.ts';
import { firstRow } from '../postgres/first-row.ts';
import { type EndpointEvent, endpointPayload } from './event.ts';

export interface EndpointEventRow {
  tenant: string;
  endpoint: { id: string; url: string };
  type: EndpointEvent;
  more?: Readonly<Record<string, string>>;
}

/**
 * Adds an event to the feed of its tenant and returns the id of the event. Must be the last statement of a transaction: the
 * statement locks the counter of the feed until the commit.
 */
export async function insertEndpointEvent(db: Db, row: EndpointEventRow, nowMs: number): Promise<string> {
  const { rows } = await db.query<{ id: string }>(
    `WITH counter AS (
       INSERT INTO event_counters AS c (tenant, last) VALUES ($1, 1)
       ON CONFLICT (tenant) DO UPDATE SET last = c.last + 1 RETURNING last
     )
     INSERT INTO events (id, tenant, sequence, type, payload, created_at)
     SELECT millrace_uuid7($4), $1, last, $2, $3, $4 FROM counter
     RETURNING id`,
    [row.tenant, row.type, endpointPayload(row.endpoint, row.more), nowMs],
  );
  return firstRow(rows).id;
}
