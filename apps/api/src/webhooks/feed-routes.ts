/** The route of the event feed, from which a receiver reads missed events after an outage. */
import type { App } from '../http/type-provider.ts';
import { fromStore } from '../stores/store-errors.ts';
import type { WebhookRouteDeps } from './deps.ts';
import { listEvents } from './feed-table.ts';
import { cursorSequence } from './params.ts';
import { eventJson } from './render.ts';
import * as routes from './route-schemas.ts';

export function registerFeed(app: App, { db, tenantOf, publicUrl }: WebhookRouteDeps): void {
  app.get('/v1/events', { schema: routes.listEvents }, async (request) => {
    const { after, limit = 100 } = request.query;
    const from = cursorSequence(after);
    const rows = await fromStore(
      'Postgres',
      listEvents(db, { tenant: tenantOf(request), after: from, limit: limit + 1 }),
    );
    const shown = rows.slice(0, limit);
    return {
      events: shown.map((event) => eventJson(event, publicUrl)),
      // Present on the last page too: the next read of the feed continues here.
      next: String(shown.at(-1)?.sequence ?? from),
      has_more: rows.length > limit,
    };
  });
}
