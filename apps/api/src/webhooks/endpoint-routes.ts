/** Routes of webhook endpoints: register, read, change, delete and test endpoints. */

import { ApiError } from '@millrace/shared/errors';
import { sharedNow } from '@millrace/shared/postgres/clock';
import { newSecret } from '@millrace/shared/webhooks/secret';
import type { App } from '../http/type-provider.ts';
import { fromStore } from '../stores/store-errors.ts';
import { insertTest } from './delivery-table.ts';
import type { WebhookRouteDeps } from './deps.ts';
import { deleteEndpoint, findEndpoint, insertEndpoint, listEndpoints, updateEndpoint } from './endpoint-table.ts';
import { cursorId, idOf } from './params.ts';
import { deliveryJson, endpointJson } from './render.ts';
import * as routes from './route-schemas.ts';

const idIn = ({ params }: { params: { id: string } }) => idOf(params.id, 'endpoint_not_found');
const notFound = (id: string) => new ApiError('endpoint_not_found', `No webhook endpoint has the id '${id}'.`);

export function registerEndpoints(app: App, deps: WebhookRouteDeps): void {
  const { db, checkWebhook, tenantOf, now = sharedNow } = deps;

  app.post('/v1/webhook-endpoints', { schema: routes.createEndpoint }, async (request, reply) => {
    const { url, description = '', events = [], models = [] } = request.body;
    await checkWebhook(url);
    const secret = newSecret();
    const fields = { url, description, events, models };
    const inserted = insertEndpoint(db, { tenant: tenantOf(request), fields, secret, nowMs: now() });
    const endpoint = await fromStore('Postgres', inserted);
    const json = endpointJson(endpoint);
    return reply
      .code(201)
      .header('location', json.urls.self)
      .send({ ...json, secret });
  });

  app.get('/v1/webhook-endpoints', { schema: routes.listEndpoints }, async (request) => {
    const { limit = 20, cursor } = request.query;
    const page = { limit: limit + 1, after: cursorId(cursor) };
    const rows = await fromStore('Postgres', listEndpoints(db, tenantOf(request), page));
    const shown = rows.slice(0, limit);
    return { endpoints: shown.map(endpointJson), next: rows.length > limit ? (shown.at(-1)?.id ?? null) : null };
  });

  app.get('/v1/webhook-endpoints/:id', { schema: routes.getEndpoint }, async (request) => {
    const id = idIn(request);
    const endpoint = await fromStore('Postgres', findEndpoint(db, tenantOf(request), id));
    if (!endpoint) throw notFound(id);
    return endpointJson(endpoint);
  });

  app.patch('/v1/webhook-endpoints/:id', { schema: routes.changeEndpoint }, async (request) => {
    const id = idIn(request);
    const changes = request.body;
    if (changes.url !== undefined) await checkWebhook(changes.url);
    const updated = updateEndpoint(db, { tenant: tenantOf(request), id, changes, nowMs: now() });
    const endpoint = await fromStore('Postgres', updated);
    if (!endpoint) throw notFound(id);
    return endpointJson(endpoint);
  });

  app.delete('/v1/webhook-endpoints/:id', { schema: routes.removeEndpoint }, async (request, reply) => {
    const id = idIn(request);
    const deleted = deleteEndpoint(db, { tenant: tenantOf(request), id, nowMs: now() });
    if (!(await fromStore('Postgres', deleted))) throw notFound(id);
    return reply.code(204).send();
  });

  registerTest(app, deps);
}

function registerTest(app: App, { db, timers, tenantOf, now = sharedNow }: WebhookRouteDeps): void {
  app.post('/v1/webhook-endpoints/:id/test', { schema: routes.testEndpoint }, async (request, reply) => {
    const id = idIn(request);
    const tenant = tenantOf(request);
    const endpoint = await fromStore('Postgres', findEndpoint(db, tenant, id));
    if (!endpoint) throw notFound(id);
    if (endpoint.state === 'disabled')
      throw new ApiError('conflict', 'The endpoint is disabled. Enable the endpoint before the test.');
    const delivery = await fromStore('Postgres', insertTest(db, { tenant, endpoint, nowMs: now() }));
    await timers.scheduleDeliveries([delivery]);
    const json = deliveryJson(delivery, []);
    return reply.code(202).header('location', json.urls.self).send(json);
  });
}
