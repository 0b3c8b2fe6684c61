/** The routes that change a prediction: cancel and retry. */

import type { FastifyRequest } from 'fastify';
import type { App } from '../http/type-provider.ts';
import type { Actions } from './cancel-retry.ts';
import { sendFound } from './read-routes.ts';
import { IdParams } from './schemas.ts';

export interface ActionRoutes {
  /** The public URL without a final slash; '' for links that are paths. */
  base: string;
  actions: Actions;
  tenantOf(request: FastifyRequest): string;
}

export function registerActionRoutes(app: App, { base, actions, tenantOf }: ActionRoutes): void {
  const schema = { params: IdParams };
  app.post('/v1/predictions/:id/cancel', { schema }, async (request, reply) =>
    sendFound(reply, await actions.cancel(tenantOf(request), request.params.id), base),
  );
  app.post('/v1/predictions/:id/retry', { schema }, async (request, reply) =>
    sendFound(reply, await actions.retry(tenantOf(request), request.params.id), base),
  );
}
