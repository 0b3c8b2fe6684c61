/** The routes that change aliases and purge the cached results of a model. */
import type { FastifyRequest } from 'fastify';
import type { App } from '../http/type-provider.ts';
import type { Catalog } from './catalog.ts';
import type { RegistryChanges } from './registry-changes.ts';
import * as routes from './route-schemas.ts';
import { modelJson } from './routes.ts';

export interface ChangeRoutes {
  catalog: Catalog;
  changes: RegistryChanges;
  tenantOf(request: FastifyRequest): string;
}

export function registerRegistryChanges(app: App, { catalog, changes, tenantOf }: ChangeRoutes): void {
  const alias = '/v1/models/:model/aliases/:alias';
  app.put(alias, { schema: routes.setAlias }, async (request) => {
    const { model, alias } = request.params;
    const tenant = tenantOf(request);
    await changes.setAlias(tenant, model, alias, request.body.version);
    return modelJson(await catalog.model(tenant, model));
  });

  app.delete(alias, { schema: routes.removeAlias }, async (request, reply) => {
    const { model, alias } = request.params;
    await changes.removeAlias(tenantOf(request), model, alias);
    return reply.code(204).send();
  });

  app.delete('/v1/models/:model/cache', { schema: routes.purgeCache }, async (request, reply) => {
    await changes.purge(tenantOf(request), request.params.model);
    return reply.code(204).send();
  });
}
