/** The routes of aliases, and the routes that retire a version and that purge the cached results of a model. */
import { ApiError } from '@millrace/shared/errors';
import type { FastifyRequest } from 'fastify';
import { etagOf, guardOf } from '../http/etags.ts';
import type { App } from '../http/type-provider.ts';
import type { Catalog } from './catalog.ts';
import type { RegistryChanges } from './registry-changes.ts';
import * as routes from './route-schemas.ts';
import { aliasJson, modelJson, versionJson } from './routes.ts';
import type { RunningProviders } from './running-providers.ts';

export interface ChangeRoutes {
  catalog: Catalog;
  changes: RegistryChanges;
  /** The execution providers that run the versions now. */
  providers: RunningProviders;
  tenantOf(request: FastifyRequest): string;
}

interface NamedAlias {
  model: string;
  alias: string;
}

export function registerRegistryChanges(app: App, { catalog, changes, providers, tenantOf }: ChangeRoutes): void {
  const path = '/v1/models/:model/aliases/:alias';
  /** Checks the alias that the change finds. */
  const guardFor = (request: FastifyRequest, name: NamedAlias) => {
    const guard = guardOf(request);
    return guard && ((version: string | null) => guard(version === null ? null : aliasJson({ ...name, version })));
  };

  app.get(path, { schema: routes.getAlias, config: { etag: true } }, async (request) => {
    const { model, alias } = request.params;
    const { aliases } = await catalog.model(tenantOf(request), model);
    const version = Object.hasOwn(aliases, alias) ? aliases[alias] : undefined;
    if (version === undefined)
      throw new ApiError('alias_not_found', `Model '${model}' has no alias '${alias}'.`, {
        suggestions: Object.keys(aliases).slice(0, 10),
      });
    return aliasJson({ model, alias, version });
  });

  app.put(path, { schema: routes.setAlias }, async (request, reply) => {
    const { model, alias } = request.params;
    const { version } = request.body;
    const tenant = tenantOf(request);
    await changes.setAlias({ tenant, model, alias, version, guard: guardFor(request, { model, alias }) });
    reply.header('etag', etagOf(JSON.stringify(aliasJson({ model, alias, version }))));
    return modelJson(await catalog.model(tenant, model), await providers.current());
  });

  app.delete(path, { schema: routes.removeAlias }, async (request, reply) => {
    const { model, alias } = request.params;
    await changes.removeAlias({ tenant: tenantOf(request), model, alias, guard: guardFor(request, { model, alias }) });
    return reply.code(204).send();
  });

  app.post('/v1/models/:model/versions/:version/retire', { schema: routes.retireVersion }, async (request) => {
    const { model, version } = request.params;
    const tenant = tenantOf(request);
    await changes.retire({ tenant, model, version });
    return versionJson(await catalog.version(tenant, model, version), await providers.current());
  });

  app.delete('/v1/models/:model/cache', { schema: routes.purgeCache }, async (request, reply) => {
    await changes.purge(tenantOf(request), request.params.model);
    return reply.code(204).send();
  });
}
