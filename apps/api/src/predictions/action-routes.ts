/** The routes that change predictions: cancel and retry, of one prediction or of all predictions of a filter. */

import { ApiError } from '@millrace/shared/errors';
import type { FastifyRequest } from 'fastify';
import type { Static } from 'typebox';
import { idempotencyKeyIn } from '../http/idempotency-key.ts';
import type { App } from '../http/type-provider.ts';
import { type Action, runBulk } from './bulk-actions.ts';
import type { Actions } from './cancel-retry.ts';
import { type Found, predictionUuid } from './find-prediction.ts';
import type { ListPredictions } from './list-predictions.ts';
import { filtersOf } from './list-query.ts';
import { sendFound } from './read-routes.ts';
import * as routes from './route-schemas.ts';
import { ACTION_MAX, type RetryBody } from './schemas.ts';

const PAGE_DEFAULT = 100;

export interface ActionRoutes {
  /** The public URL without a final slash; '' for links that are paths. */
  base: string;
  actions: Actions;
  list: ListPredictions;
  /** Finds the prediction that an idempotency key names; throws `prediction_not_found`. */
  findByKey(tenant: string, key: string): Promise<Found>;
  tenantOf(request: FastifyRequest): string;
}

export function registerActionRoutes(app: App, { base, actions, list, findByKey, tenantOf }: ActionRoutes): void {
  const bulk = (action: Action, tenant: string, { filter, limit = PAGE_DEFAULT, cursor }: Static<typeof RetryBody>) => {
    const filters = filtersOf(filter, '/filter');
    return runBulk({ actions, list }, action, { tenant, filters, limit: Math.min(limit, ACTION_MAX), cursor });
  };
  app.post('/v1/predictions/:id/cancel', { schema: routes.cancelPrediction }, async (request, reply) =>
    sendFound(reply, await actions.cancel(tenantOf(request), predictionUuid(request.params.id)), base),
  );
  app.post('/v1/predictions/cancel', { schema: routes.cancelPredictions }, async (request, reply) => {
    const tenant = tenantOf(request);
    const { idempotency_key, filter, ...step } = request.body;
    if ((idempotency_key === undefined) === (filter === undefined)) throw keyOrFilter();
    if (filter !== undefined) return reply.code(202).send(await bulk('cancel', tenant, { filter, ...step }));
    if (step.limit !== undefined || step.cursor !== undefined) throw keyOrFilter();
    const key = idempotencyKeyIn(idempotency_key ?? '');
    const { record } = await findByKey(tenant, key);
    return sendFound(reply, await actions.cancel(tenant, record.id), base);
  });
  app.post('/v1/predictions/retry', { schema: routes.retryPredictions }, async (request, reply) =>
    reply.code(202).send(await bulk('retry', tenantOf(request), request.body)),
  );
  app.post('/v1/predictions/:id/retry', { schema: routes.retryPrediction }, async (request, reply) =>
    sendFound(
      reply,
      await actions.retry(tenantOf(request), predictionUuid(request.params.id), request.claimed?.again === true),
      base,
    ),
  );
}

const keyOrFilter = (): ApiError =>
  new ApiError(
    'invalid_request',
    'The body needs either `idempotency_key` alone, or `filter` with `limit` and `cursor`.',
    {
      faults: [
        {
          pointer: '',
          message: 'The members do not fit together',
          expected: 'idempotency_key, or filter',
          got: 'both or neither',
        },
      ],
    },
  );
