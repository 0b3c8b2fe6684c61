/** Reads the event feed of a tenant: all events in the order of their commits, without gaps. */
import type { Db } from '@millrace/shared/postgres/db';
import { EVENT_COLUMNS, type StoredEvent } from '@millrace/shared/webhooks/event';

export interface FeedEvent extends StoredEvent {
  sequence: number;
}

export interface ListEventsParams {
  tenant: string;
  /** Sequence number after which the page starts. */
  after: number;
  limit: number;
}

export async function listEvents(db: Db, { tenant, after, limit }: ListEventsParams): Promise<FeedEvent[]> {
  const { rows } = await db.query<FeedEvent>(
    `SELECT ev.id, ev.sequence, ${EVENT_COLUMNS}
       FROM events ev LEFT JOIN predictions p ON p.id = ev.prediction
      WHERE ev.tenant = $1 AND ev.sequence > $2 ORDER BY ev.sequence LIMIT $3`,
    [tenant, after, limit],
  );
  return rows;
}

/** Reads one event of a tenant. */
export async function findEvent(db: Db, tenant: string, id: string): Promise<FeedEvent | undefined> {
  const { rows } = await db.query<FeedEvent>(
    `SELECT ev.id, ev.sequence, ${EVENT_COLUMNS}
       FROM events ev LEFT JOIN predictions p ON p.id = ev.prediction
      WHERE ev.id = $1 AND ev.tenant = $2`,
    [id, tenant],
  );
  return rows[0];
}

export interface FeedRange {
  /** The first event that is kept, or the next event if no event is kept. */
  first: number;
  /** The last event; 0 before the first event. */
  last: number;
}

/** The sequence numbers of a tenant's feed. */
export async function feedRange(db: Db, tenant: string): Promise<FeedRange> {
  const { rows } = await db.query<{ first: number | null; last: number | null }>(
    `SELECT (SELECT min(sequence) FROM events WHERE tenant = $1) AS first,
            (SELECT last FROM event_counters WHERE tenant = $1) AS last`,
    [tenant],
  );
  const last = rows[0]?.last ?? 0;
  return { first: rows[0]?.first ?? last + 1, last };
}
