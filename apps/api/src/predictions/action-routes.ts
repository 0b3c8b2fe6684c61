/** What is done to predictions that are there: cancel, retry; and the list of them. */

import { joinTexts } from '@millrace/shared/predictions/long-text';
import { renderPrediction, renderWithoutOutput } from '@millrace/shared/predictions/prediction';
import type { FastifyRequest } from 'fastify';
import type { App } from '../http/type-provider.ts';
import { sendText } from '../http/write-text.ts';
import type { Actions } from './cancel-retry.ts';
import type { Listing } from './list-predictions.ts';
import { sendFound } from './routes.ts';
import { IdParams, ListQuery } from './schemas.ts';

export interface ActionRoutes {
  actions: Actions;
  list: Listing;
  tenantOf(request: FastifyRequest): string;
}

export function registerPredictionActions(app: App, { actions, list, tenantOf }: ActionRoutes): void {
  const schema = { params: IdParams };
  app.post('/v1/predictions/:id/cancel', { schema }, async (request, reply) =>
    sendFound(reply, await actions.cancel(tenantOf(request), request.params.id)),
  );
  app.post('/v1/predictions/:id/retry', { schema }, async (request, reply) =>
    sendFound(reply, await actions.retry(tenantOf(request), request.params.id)),
  );

  app.get('/v1/predictions', { schema: { querystring: ListQuery } }, async (request, reply) => {
    const { query } = request;
    const { records, next } = await list(tenantOf(request), { ...query, limit: query.limit ?? 20 });
    if (next !== null) reply.header('link', `<${nextUrl(query, next)}>; rel="next"`);
    const items = records.map((record) =>
      query.include === 'output' ? renderPrediction(record) : renderWithoutOutput(record),
    );
    // One that waits has its estimate in its own page: here it would cost a look at the queue for each.
    reply.header('content-type', 'application/json; charset=utf-8');
    const after = `],"next":${JSON.stringify(next)}}`;
    if (items.every((item) => typeof item === 'string'))
      return reply.send(`{"predictions":[${items.join(',')}${after}`);
    const listed = items.flatMap((item, at) => (at === 0 ? [item] : [',', item]));
    return sendText(reply, joinTexts(['{"predictions":[', ...listed, after]));
  });
}

function nextUrl(query: Record<string, unknown>, next: string): string {
  const kept = Object.entries(query).filter(([name, value]) => name !== 'cursor' && value !== undefined);
  const parameters = new URLSearchParams(kept.map(([name, value]): [string, string] => [name, String(value)]));
  parameters.set('cursor', next);
  return `/v1/predictions?${parameters}`;
}
