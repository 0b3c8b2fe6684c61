/** The routes of events: the feed, from which a receiver reads missed events after an outage, and an event by its id. */
import { ApiError } from '@millrace/shared/errors';
import { fromStore } from '../http/store-errors.ts';
import type { App } from '../http/type-provider.ts';
import type { WebhookRouteDeps } from './deps.ts';
import { feedCursor, sequenceOf } from './feed-cursor.ts';
import { feedRange, findEvent, listEvents } from './feed-table.ts';
import { eventIdOf } from './params.ts';
import { eventJson } from './render.ts';
import * as routes from './route-schemas.ts';

const LIMIT_MAX = 1_000;

export function registerFeed(app: App, { db, tenantOf, publicUrl }: WebhookRouteDeps): void {
  app.get('/v1/events', { schema: routes.listEvents }, async (request) => {
    const tenant = tenantOf(request);
    const limit = Math.min(request.query.limit ?? 100, LIMIT_MAX);
    const from = await placeOf(tenant, request.query.cursor);
    const rows = await fromStore('Postgres', listEvents(db, { tenant, after: from, limit: limit + 1 }));
    const shown = rows.slice(0, limit);
    return {
      data: shown.map((event) => eventJson(event, publicUrl)),
      // Present on the last page too: the next read of the feed continues here.
      next: feedCursor(shown.at(-1)?.sequence ?? from),
      has_more: rows.length > limit,
    };
  });

  app.get('/v1/events/:id', { schema: routes.getEvent, config: { etag: true } }, async (request) => {
    const { id } = request.params;
    const uuid = eventIdOf(id);
    const event = uuid && (await fromStore('Postgres', findEvent(db, tenantOf(request), uuid)));
    if (!event)
      throw new ApiError(
        'not_found',
        `No event has the id '${id.slice(0, 64)}'. Events are kept as long as predictions (RETENTION_DAYS).`,
      );
    return eventJson(event, publicUrl);
  });

  /** The sequence number after which the page starts. A consumer with a wrong cursor would wait forever, or miss events. */
  async function placeOf(tenant: string, cursor: string | undefined): Promise<number> {
    const sequence = sequenceOf(cursor);
    if (sequence === undefined) return 0;
    const { first, last } = await fromStore('Postgres', feedRange(db, tenant));
    if (sequence > last)
      throw new ApiError(
        'invalid_cursor',
        'The cursor is beyond the last event. If the database was restored, read the feed from its start.',
      );
    // 0 is the start of the feed, also after the first events were discarded.
    if (sequence > 0 && sequence + 1 < first)
      throw new ApiError(
        'cursor_expired',
        'The events after this cursor are older than RETENTION_DAYS and were discarded. Read the feed without a cursor.',
      );
    return sequence;
  }
}
