/** Routes of webhook deliveries: list deliveries with their attempts, and repeat deliveries. */

import { ApiError } from '@millrace/shared/errors';
import { sharedNow } from '@millrace/shared/postgres/clock';
import type { App } from '../http/type-provider.ts';
import { fromStore } from '../stores/store-errors.ts';
import { findDelivery, listAttempts, listDeliveries, redeliver, redeliverRange } from './delivery-table.ts';
import type { WebhookRouteDeps } from './deps.ts';
import { findEndpoint } from './endpoint-table.ts';
import { cursorId, filterId, idOf, invalid, timeOf } from './params.ts';
import { deliveryJson } from './render.ts';
import * as routes from './route-schemas.ts';

const notFound = (id: string) => new ApiError('delivery_not_found', `No webhook delivery has the id '${id}'.`);

export function registerDeliveries(app: App, deps: WebhookRouteDeps): void {
  const { db, timers, tenantOf, now = sharedNow } = deps;
  const idIn = ({ params }: { params: { id: string } }) => idOf(params.id, 'delivery_not_found');

  app.get('/v1/webhook-deliveries', { schema: routes.listDeliveries }, async (request) => {
    const { status = null, endpoint, prediction, limit = 20, cursor } = request.query;
    const filter = {
      status,
      endpoint: filterId(endpoint, '/endpoint'),
      prediction: filterId(prediction, '/prediction'),
      limit: limit + 1,
      before: cursorId(cursor),
    };
    const rows = await fromStore('Postgres', listDeliveries(db, tenantOf(request), filter));
    const shown = rows.slice(0, limit);
    const attempts = await fromStore(
      'Postgres',
      listAttempts(
        db,
        shown.map(({ id }) => id),
      ),
    );
    return {
      deliveries: shown.map((delivery) => deliveryJson(delivery, attempts)),
      next: rows.length > limit ? (shown.at(-1)?.id ?? null) : null,
    };
  });

  app.get('/v1/webhook-deliveries/:id', { schema: routes.getDelivery }, async (request) => {
    const id = idIn(request);
    const delivery = await fromStore('Postgres', findDelivery(db, tenantOf(request), id));
    if (!delivery) throw notFound(id);
    return deliveryJson(delivery, await fromStore('Postgres', listAttempts(db, [id])));
  });

  app.post('/v1/webhook-deliveries/:id/redeliver', { schema: routes.redeliver }, async (request, reply) => {
    const id = idIn(request);
    const tenant = tenantOf(request);
    if (!(await fromStore('Postgres', findDelivery(db, tenant, id)))) throw notFound(id);
    const delivery = await fromStore('Postgres', redeliver(db, { tenant, id, nowMs: now() }));
    if (!delivery)
      throw new ApiError(
        'conflict',
        'The delivery cannot be repeated: its endpoint is disabled or was deleted. Enable the endpoint first.',
      );
    await timers.scheduleDeliveries([delivery]);
    const attempts = await fromStore('Postgres', listAttempts(db, [id]));
    return reply.code(202).send(deliveryJson(delivery, attempts));
  });

  app.post('/v1/webhook-deliveries/redeliver', { schema: routes.redeliverRange }, async (request, reply) => {
    const { from, to, endpoint, status } = request.body;
    const nowMs = now();
    const range = {
      fromMs: timeOf(from, '/from'),
      // By default every delivery until now, including this millisecond.
      toMs: to === undefined ? nowMs + 1 : timeOf(to, '/to'),
      endpoint: filterId(endpoint, '/endpoint'),
      statuses: status === undefined ? (['failed', 'canceled'] as const) : [status],
    };
    if (to !== undefined && range.toMs <= range.fromMs)
      throw invalid({
        pointer: '/to',
        message: 'The time is not after `from`.',
        expected: `a time after ${from}`,
        got: to,
      });
    const tenant = tenantOf(request);
    if (range.endpoint !== null && !(await fromStore('Postgres', findEndpoint(db, tenant, range.endpoint))))
      throw new ApiError('endpoint_not_found', `No webhook endpoint has the id '${range.endpoint}'.`);
    const redelivered = redeliverRange(db, { tenant, range, nowMs, onBatch: timers.scheduleDeliveries });
    const count = await fromStore('Postgres', redelivered);
    return reply.code(202).send({ redelivered: count });
  });
}
