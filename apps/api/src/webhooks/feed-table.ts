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
