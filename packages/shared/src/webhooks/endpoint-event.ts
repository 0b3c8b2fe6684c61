/** Inserts the events of a webhook endpoint, which belong to no prediction. */
import type { Db } from '../postgres/db.ts';
import { firstRow } from '../postgres/first-row.ts';
import { API_VERSION } from '../predictions/event-constants.ts';
import { type EndpointEvent, endpointData, endpointPayload } from './event.ts';

export interface EndpointEventRow {
  tenant: string;
  endpoint: { id: string; url: string };
  type: EndpointEvent;
  more?: Readonly<Record<string, string>>;
  /** The base URL of the API in the event. Without a URL, the event has a path. */
  publicUrl: string | undefined;
}

/**
 * Adds an event to the feed of its tenant and returns the id of the event. Must be the last statement of a transaction: the
 * statement locks the counter of the feed until the commit.
 */
export async function insertEndpointEvent(db: Db, row: EndpointEventRow, nowMs: number): Promise<string> {
  const { tenant, type, endpoint, more, publicUrl } = row;
  const payload = endpointPayload(endpoint, more);
  const data = JSON.stringify(endpointData(payload, publicUrl));
  const { rows } = await db.query<{ id: string }>(
    `WITH counter AS (
       INSERT INTO event_counters AS c (tenant, last) VALUES ($1, 1)
       ON CONFLICT (tenant) DO UPDATE SET last = c.last + 1 RETURNING last
     )
     INSERT INTO events (id, tenant, sequence, type, payload, created_at, body)
     SELECT id, $1, last, $2, $3, $4, millrace_event_body(id, $2, $4, $5, $1, $6) FROM counter, (SELECT millrace_uuid7($4) AS id) AS new
     RETURNING id`,
    [tenant, type, payload, nowMs, API_VERSION, data],
  );
  return firstRow(rows).id;
}
