/** The routes that change a prediction: cancel and retry. */

import type { FastifyRequest } from 'fastify';
import { idempotencyKeyIn } from '../http/idempotency-key.ts';
import type { App } from '../http/type-provider.ts';
import type { Actions } from './cancel-retry.ts';
import { type Found, predictionUuid } from './find-prediction.ts';
import { sendFound } from './read-routes.ts';
import * as routes from './route-schemas.ts';

export interface ActionRoutes {
  /** The public URL without a final slash; '' for links that are paths. */
  base: string;
  actions: Actions;
  /** Finds the prediction that an idempotency key names; throws `prediction_not_found`. */
  findByKey(tenant: string, key: string): Promise<Found>;
  tenantOf(request: FastifyRequest): string;
}

export function registerActionRoutes(app: App, { base, actions, findByKey, tenantOf }: ActionRoutes): void {
  app.post('/v1/predictions/:id/cancel', { schema: routes.cancelPrediction }, async (request, reply) =>
    sendFound(reply, await actions.cancel(tenantOf(request), predictionUuid(request.params.id)), base),
  );
  app.post('/v1/predictions/cancel', { schema: routes.cancelPredictionByKey }, async (request, reply) => {
    const tenant = tenantOf(request);
    const key = idempotencyKeyIn(request.body.idempotency_key);
    const { record } = await findByKey(tenant, key);
    return sendFound(reply, await actions.cancel(tenant, record.id), base);
  });
  app.post('/v1/predictions/:id/retry', { schema: routes.retryPrediction }, async (request, reply) =>
    sendFound(
      reply,
      await actions.retry(tenantOf(request), predictionUuid(request.params.id), request.claimed?.again === true),
      base,
    ),
  );
}
