/** Routes of webhook deliveries: list deliveries with their attempts, and repeat deliveries. */

import { ApiError } from '@millrace/shared/errors';
import { sharedNow } from '@millrace/shared/postgres/clock';
import { idBoundAt } from '@millrace/shared/predictions/ids';
import { baseOf } from '@millrace/shared/predictions/prediction';
import { publicId } from '@millrace/shared/predictions/public-ids';
import { decodePlace, encodePlace } from '../http/cursor.ts';
import { limitOf, linkNext, pageOf } from '../http/list.ts';
import { fromStore } from '../http/store-errors.ts';
import type { App } from '../http/type-provider.ts';
import { findDelivery, listAttempts, listDeliveries, redeliver, redeliverRange } from './delivery-table.ts';
import type { WebhookRouteDeps } from './deps.ts';
import { findEndpoint } from './endpoint-table.ts';
import { cursorId, filterId, idOf, invalid, timeOf } from './params.ts';
import { deliveryJson } from './render.ts';
import * as routes from './route-schemas.ts';

const notFound = (id: string) =>
  new ApiError('delivery_not_found', `No webhook delivery has the id '${publicId('whd', id)}'.`);

export function registerDeliveries(app: App, deps: WebhookRouteDeps): void {
  const { db, timers, tenantOf, publicUrl, now = sharedNow } = deps;
  const base = baseOf(publicUrl);
  const idIn = ({ params }: { params: { id: string } }) => idOf(params.id, 'delivery_not_found');

  app.get('/v1/webhook-deliveries', { schema: routes.listDeliveries }, async (request, reply) => {
    const {
      status = null,
      endpoint_id,
      prediction_id,
      created_after,
      created_before,
      order = 'desc',
      cursor,
    } = request.query;
    const tenant = tenantOf(request);
    const limit = limitOf(request.query);
    const endpoint = filterId(endpoint_id, 'we', 'endpoint_id');
    const prediction = filterId(prediction_id, 'pred', 'prediction_id');
    const fromId = created_after === undefined ? null : idBoundAt(timeOf(created_after, 'created_after') + 1);
    const toId = created_before === undefined ? null : idBoundAt(timeOf(created_before, 'created_before'));
    // The name of a list without times stays as it was, so that cursors survive an upgrade.
    const times = fromId === null && toId === null ? [] : [fromId, toId];
    const list = JSON.stringify(['deliveries', tenant, status, endpoint, prediction, order, ...times]);
    const after = cursor === undefined ? null : cursorId(decodePlace(list, cursor, [''] as [string])[0], cursor);
    const filter = { status, endpoint, prediction, fromId, toId, order, limit: limit + 1, after };
    const rows = await fromStore('Postgres', listDeliveries(db, tenant, filter));
    const ids = rows.slice(0, limit).map(({ id }) => id);
    const attempts = await fromStore('Postgres', listAttempts(db, ids));
    const page = pageOf({
      rows,
      limit,
      item: (delivery) => deliveryJson(delivery, attempts, base),
      cursorAfter: ({ id }) => encodePlace(list, [id]),
    });
    linkNext(request, reply, { next: page.next, base });
    return page;
  });

  app.get('/v1/webhook-deliveries/:id', { schema: routes.getDelivery, config: { etag: true } }, async (request) => {
    const id = idIn(request);
    const delivery = await fromStore('Postgres', findDelivery(db, tenantOf(request), id));
    if (!delivery) throw notFound(id);
    return deliveryJson(delivery, await fromStore('Postgres', listAttempts(db, [id])), base);
  });

  app.post('/v1/webhook-deliveries/:id/redeliver', { schema: routes.redeliverDelivery }, async (request, reply) => {
    const id = idIn(request);
    const tenant = tenantOf(request);
    if (!(await fromStore('Postgres', findDelivery(db, tenant, id)))) throw notFound(id);
    const delivery = await fromStore('Postgres', redeliver(db, { tenant, id, nowMs: now() }));
    if (!delivery)
      throw new ApiError(
        'endpoint_disabled',
        'The delivery cannot be repeated: its endpoint is disabled or was deleted. Enable the endpoint first.',
      );
    await timers.scheduleDeliveries([delivery]);
    const attempts = await fromStore('Postgres', listAttempts(db, [id]));
    return reply.code(202).send(deliveryJson(delivery, attempts, base));
  });

  registerRange(app, deps);
}

function registerRange(app: App, { db, timers, tenantOf, now = sharedNow }: WebhookRouteDeps): void {
  app.post('/v1/webhook-deliveries/redeliver', { schema: routes.redeliverDeliveries }, async (request, reply) => {
    const { filter, limit = Number.MAX_SAFE_INTEGER, cursor } = request.body;
    if (Object.keys(filter).length === 0)
      throw invalid({ pointer: '/filter', message: 'There is no filter.', expected: 'at least one filter', got: '{}' });
    const { created_after: from, created_before: to, endpoint_id, prediction_id, status } = filter;
    const nowMs = now();
    const range = {
      fromMs: from === undefined ? 0 : timeOf(from, '/filter/created_after'),
      // By default every delivery until now, including this millisecond.
      toMs: to === undefined ? nowMs + 1 : timeOf(to, '/filter/created_before'),
      endpoint: filterId(endpoint_id, 'we', '/filter/endpoint_id'),
      prediction: filterId(prediction_id, 'pred', '/filter/prediction_id'),
      statuses: status === undefined ? (['failed', 'canceled'] as const) : [status],
    };
    if (to !== undefined && range.toMs <= range.fromMs)
      throw invalid({
        pointer: '/filter/created_before',
        message: 'The time is not after `created_after`.',
        expected: `a time after ${from ?? '1970-01-01T00:00:00Z'}`,
        got: to,
      });
    const tenant = tenantOf(request);
    if (range.endpoint !== null && !(await fromStore('Postgres', findEndpoint(db, tenant, range.endpoint))))
      throw new ApiError('endpoint_not_found', `No webhook endpoint has the id '${publicId('we', range.endpoint)}'.`);
    const list = JSON.stringify([
      'redeliver',
      tenant,
      from ?? null,
      to ?? null,
      range.endpoint,
      range.prediction,
      status ?? null,
    ]);
    const after = cursor === undefined ? null : cursorId(decodePlace(list, cursor, [''] as [string])[0], cursor);
    const params = { tenant, range, nowMs, after, limit, onBatch: timers.scheduleDeliveries };
    // The deliveries of the step are due when the response is sent.
    const { matched, done, last } = await fromStore('Postgres', redeliverRange(db, params));
    return reply.code(202).send({ matched, done, next: last === null ? null : encodePlace(list, [last]) });
  });
}
