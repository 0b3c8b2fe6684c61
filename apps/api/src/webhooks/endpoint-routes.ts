/** Webhook endpoints: register, look, change, rotate, test, remove. */

import { ApiError } from '@millrace/shared/errors';
import { sharedNow } from '@millrace/shared/postgres/clock';
import { newSecret } from '@millrace/shared/webhooks/secret';
import type { App } from '../http/type-provider.ts';
import { fromStore } from '../stores/store-errors.ts';
import { insertTest } from './delivery-table.ts';
import type { WebhookRouteDeps } from './deps.ts';
import {
  deleteEndpoint,
  findEndpoint,
  insertEndpoint,
  listEndpoints,
  rotateSecret,
  updateEndpoint,
} from './endpoint-table.ts';
import { cursorId, idOf } from './params.ts';
import { deliveryJson, endpointJson } from './render.ts';
import { EndpointChanges, IdParams, NewEndpoint, Page, Rotation } from './schemas.ts';

const missing = (id: string) => new ApiError('endpoint_not_found', `There is no webhook endpoint '${id}'.`);

export function registerEndpoints(app: App, deps: WebhookRouteDeps): void {
  const { db, timers, checkWebhook, tenantOf, now = sharedNow } = deps;
  const idIn = ({ params }: { params: { id: string } }) => idOf(params.id, 'endpoint_not_found');

  app.post('/v1/webhook-endpoints', { schema: { body: NewEndpoint } }, async (request, reply) => {
    const { url, description = '', events = [], models = [] } = request.body;
    await checkWebhook(url);
    const secret = newSecret();
    const fields = { url, description, events, models };
    const endpoint = await fromStore('Postgres', insertEndpoint(db, tenantOf(request), fields, secret, now()));
    const json = endpointJson(endpoint);
    return reply
      .code(201)
      .header('location', json.urls.self)
      .send({ ...json, secret });
  });

  app.get('/v1/webhook-endpoints', { schema: { querystring: Page } }, async (request) => {
    const { limit = 20, cursor } = request.query;
    const page = { limit: limit + 1, after: cursorId(cursor) };
    const rows = await fromStore('Postgres', listEndpoints(db, tenantOf(request), page));
    const shown = rows.slice(0, limit);
    return { endpoints: shown.map(endpointJson), next: rows.length > limit ? (shown.at(-1)?.id ?? null) : null };
  });

  app.get('/v1/webhook-endpoints/:id', { schema: { params: IdParams } }, async (request) => {
    const id = idIn(request);
    const endpoint = await fromStore('Postgres', findEndpoint(db, tenantOf(request), id));
    if (!endpoint) throw missing(id);
    return endpointJson(endpoint);
  });

  app.patch('/v1/webhook-endpoints/:id', { schema: { params: IdParams, body: EndpointChanges } }, async (request) => {
    const id = idIn(request);
    const changes = request.body;
    if (changes.url !== undefined) await checkWebhook(changes.url);
    const endpoint = await fromStore('Postgres', updateEndpoint(db, tenantOf(request), id, changes, now()));
    if (!endpoint) throw missing(id);
    return endpointJson(endpoint);
  });

  app.delete('/v1/webhook-endpoints/:id', { schema: { params: IdParams } }, async (request, reply) => {
    const id = idIn(request);
    if (!(await fromStore('Postgres', deleteEndpoint(db, tenantOf(request), id, now())))) throw missing(id);
    return reply.code(204).send();
  });

  app.post(
    '/v1/webhook-endpoints/:id/rotate-secret',
    { schema: { params: IdParams, querystring: Rotation } },
    async (request) => {
      const id = idIn(request);
      const answer = await rotate(tenantOf(request), id, request.query.overlap);
      if (!answer) throw missing(id);
      return answer;
    },
  );

  // Of the deliveries to addresses that the tenant's predictions name themselves.
  app.post('/v1/webhook-secret/rotate', { schema: { querystring: Rotation } }, (request) =>
    rotate(tenantOf(request), null, request.query.overlap),
  );

  async function rotate(tenant: string, id: string | null, overlap = 86_400) {
    const secret = newSecret();
    const request = { next: secret, nowMs: now(), overlapMs: overlap * 1_000 };
    if (!(await fromStore('Postgres', rotateSecret(db, tenant, id, request)))) return undefined;
    return { secret, previous_signs_until: new Date(request.nowMs + request.overlapMs).toISOString() };
  }

  app.post('/v1/webhook-endpoints/:id/test', { schema: { params: IdParams } }, async (request, reply) => {
    const id = idIn(request);
    const tenant = tenantOf(request);
    const endpoint = await fromStore('Postgres', findEndpoint(db, tenant, id));
    if (!endpoint) throw missing(id);
    if (endpoint.state === 'disabled') throw new ApiError('conflict', 'The endpoint is disabled: enable it first.');
    const delivery = await fromStore('Postgres', insertTest(db, tenant, endpoint, now()));
    await timers.scheduleDeliveries([delivery]);
    const json = deliveryJson(delivery, []);
    return reply.code(202).header('location', json.urls.self).send(json);
  });
}
