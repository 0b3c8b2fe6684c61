/** Routes of webhook endpoints: register, read, change, delete and test endpoints. */
import { randomUUID } from 'node:crypto';
import { ApiError } from '@millrace/shared/errors';
import { sharedNow } from '@millrace/shared/postgres/clock';
import { baseOf } from '@millrace/shared/predictions/prediction';
import { publicId } from '@millrace/shared/predictions/public-ids';
import { newSecret } from '@millrace/shared/webhooks/secret';
import { allEvents, storedEvents } from '@millrace/shared/webhooks/selection';
import type { FastifyRequest } from 'fastify';
import { decodePlace, encodePlace } from '../http/cursor.ts';
import { guardOf } from '../http/etags.ts';
import { limitOf, linkNext, pageOf } from '../http/list.ts';
import { fromStore } from '../http/store-errors.ts';
import type { App } from '../http/type-provider.ts';
import { insertTest } from './delivery-table.ts';
import type { WebhookRouteDeps } from './deps.ts';
import {
  deleteEndpoint,
  type EndpointGuard,
  type EndpointPage,
  findEndpoint,
  insertEndpoint,
  listEndpoints,
  updateEndpoint,
} from './endpoint-table.ts';
import { cursorId, idOf } from './params.ts';
import { deliveryJson, type EndpointContext, endpointJson } from './render.ts';
import * as routes from './route-schemas.ts';

const idIn = ({ params }: { params: { id: string } }) => idOf(params.id, 'endpoint_not_found');
const notFound = (id: string) =>
  new ApiError('endpoint_not_found', `No webhook endpoint has the id '${publicId('we', id)}'.`);

export function registerEndpoints(app: App, deps: WebhookRouteDeps): void {
  registerCreate(app, deps);
  registerList(app, deps);
  registerOne(app, deps);
  registerTest(app, deps);
}

const contextOf = async ({ publicUrl, modelNames }: WebhookRouteDeps, tenant: string): Promise<EndpointContext> => ({
  base: baseOf(publicUrl),
  models: await modelNames(tenant),
});

function registerCreate(app: App, deps: WebhookRouteDeps): void {
  const { db, checkWebhook, tenantOf, now = sharedNow } = deps;
  app.post('/v1/webhook-endpoints', { schema: routes.createEndpoint }, async (request, reply) => {
    const { url, description, events, models } = request.body;
    await checkWebhook(url);
    const tenant = tenantOf(request);
    const secret = newSecret();
    const fields = {
      url,
      description: description ?? '',
      events: storedEvents(events ?? [allEvents]),
      models: models ?? [],
    };
    const endpoint = await fromStore(
      'Postgres',
      insertEndpoint(db, { id: request.claimed?.resource ?? randomUUID(), tenant, fields, secret, nowMs: now() }),
    );
    const json = endpointJson(endpoint, await contextOf(deps, tenant));
    return reply
      .code(201)
      .header('location', json.urls.self)
      .send({ ...json, secret: endpoint.secret });
  });
}

function registerList(app: App, deps: WebhookRouteDeps): void {
  const { db, tenantOf } = deps;
  app.get('/v1/webhook-endpoints', { schema: routes.listEndpoints }, async (request, reply) => {
    const { cursor, order = 'desc' } = request.query;
    const tenant = tenantOf(request);
    const limit = limitOf(request.query);
    const list = JSON.stringify(['endpoints', tenant, order]);
    const after = cursor === undefined ? null : placeIn(list, cursor);
    const rows = await fromStore('Postgres', listEndpoints(db, tenant, { limit: limit + 1, order, after }));
    const context = await contextOf(deps, tenant);
    const page = pageOf({
      rows,
      limit,
      item: (endpoint) => endpointJson(endpoint, context),
      cursorAfter: ({ createdAt, id }) => encodePlace(list, [createdAt, id]),
    });
    linkNext(request, reply, { next: page.next, base: context.base });
    return page;
  });
}

function placeIn(list: string, cursor: string): EndpointPage['after'] {
  const [at, id] = decodePlace(list, cursor, [0, ''] as [number, string]);
  return { at, id: cursorId(id, cursor) };
}

/** Checks the endpoint that the change finds. */
function guardFor(request: FastifyRequest, context: EndpointContext): EndpointGuard {
  const guard = guardOf(request);
  return guard && ((endpoint) => guard(endpointJson(endpoint, context)));
}

function registerOne(app: App, deps: WebhookRouteDeps): void {
  const { db, checkWebhook, tenantOf, now = sharedNow } = deps;
  app.get('/v1/webhook-endpoints/:id', { schema: routes.getEndpoint, config: { etag: true } }, async (request) => {
    const id = idIn(request);
    const tenant = tenantOf(request);
    const endpoint = await fromStore('Postgres', findEndpoint(db, tenant, id));
    if (!endpoint) throw notFound(id);
    return endpointJson(endpoint, await contextOf(deps, tenant));
  });

  app.patch('/v1/webhook-endpoints/:id', { schema: routes.changeEndpoint, config: { etag: true } }, async (request) => {
    const id = idIn(request);
    const tenant = tenantOf(request);
    const { url, description, events, models, status } = request.body;
    if (url !== undefined) await checkWebhook(url);
    const changes = {
      ...(url === undefined ? {} : { url }),
      // RFC 7396: null restores the default.
      ...(description === undefined ? {} : { description: description ?? '' }),
      ...(events === undefined ? {} : { events: storedEvents(events ?? [allEvents]) }),
      ...(models === undefined ? {} : { models: models ?? [] }),
      ...(status === undefined ? {} : { state: status }),
    };
    const context = await contextOf(deps, tenant);
    const update = { tenant, id, changes, nowMs: now(), guard: guardFor(request, context) };
    const endpoint = await fromStore('Postgres', updateEndpoint(db, update));
    if (!endpoint) throw notFound(id);
    return endpointJson(endpoint, context);
  });

  app.delete('/v1/webhook-endpoints/:id', { schema: routes.removeEndpoint }, async (request, reply) => {
    const id = idIn(request);
    const tenant = tenantOf(request);
    const guard = guardFor(request, await contextOf(deps, tenant));
    const deleted = deleteEndpoint(db, { tenant, id, nowMs: now(), guard });
    if (!(await fromStore('Postgres', deleted))) throw notFound(id);
    return reply.code(204).send();
  });
}

function registerTest(app: App, { db, timers, tenantOf, publicUrl, now = sharedNow }: WebhookRouteDeps): void {
  app.post('/v1/webhook-endpoints/:id/test', { schema: routes.testEndpoint }, async (request, reply) => {
    const id = idIn(request);
    const tenant = tenantOf(request);
    const endpoint = await fromStore('Postgres', findEndpoint(db, tenant, id));
    if (!endpoint) throw notFound(id);
    if (endpoint.state === 'disabled')
      throw new ApiError('endpoint_disabled', 'The endpoint is disabled. Enable the endpoint before the test.');
    const delivery = await fromStore('Postgres', insertTest(db, { tenant, endpoint, nowMs: now(), publicUrl }));
    await timers.scheduleDeliveries([delivery]);
    const json = deliveryJson(delivery, [], baseOf(publicUrl));
    return reply.code(202).header('location', json.urls.self).send(json);
  });
}
