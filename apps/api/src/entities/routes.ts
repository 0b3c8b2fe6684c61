/** The routes that list, search and return the entities of a model. The sets are the sets that the version reads. */

import type { Entity } from '@millrace/shared/entities/entity';
import { ApiError } from '@millrace/shared/errors';
import type { ModelVersion } from '@millrace/shared/registry/registry-types';
import type { FastifyRequest } from 'fastify';
import type { TObject } from 'typebox';
import { decodePlace, encodePlace } from '../http/cursor.ts';
import { limitOf, linkNext, pageOf } from '../http/list.ts';
import { memoryPage } from '../http/memory-pages.ts';
import type { App } from '../http/type-provider.ts';
import type { EntityLookup } from './entity-lookup.ts';
import * as routes from './route-schemas.ts';

export interface EntityRoutes {
  /** The public URL without a final slash; '' for links that are paths. */
  base: string;
  entities: EntityLookup;
  /** The version with this name or alias; without a name, the version that serves the model. Throws ApiError. */
  versionOf(tenant: string, model: string, version: string | undefined): Promise<ModelVersion>;
  tenantOf(request: FastifyRequest): string;
}

/** The paths of a route: of the version that serves the model, and of a named version. */
const pathsOf = (rest: string): string[] => [
  `/v1/models/:model/entities${rest}`,
  `/v1/models/:model/versions/:version/entities${rest}`,
];

export function registerEntities(app: App, deps: EntityRoutes): void {
  for (const path of pathsOf('')) registerTypes(app, path, deps);
  for (const path of pathsOf('/:entity')) registerSearch(app, path, deps);
  for (const path of pathsOf('/:entity/:key')) registerFind(app, path, deps);
}

interface NamedSet {
  model: string;
  version?: string | undefined;
  entity: string;
}

function registerTypes(app: App, path: string, { base, entities, versionOf, tenantOf }: EntityRoutes): void {
  const schema = schemaOf(path, 'list', routes.listEntityTypes);
  app.get(path, { schema }, async (request, reply) => {
    const { model, version } = request.params;
    const { entitySets } = await versionOf(tenantOf(request), model, version);
    const rows = await Promise.all(
      Object.entries(entitySets).map(async ([name, digest]) => ({ name, count: await entities.count(digest) })),
    );
    const list = JSON.stringify(['entity types', model, version ?? null]);
    const keyOf = ({ name }: { name: string }): [string] => [name];
    const page = memoryPage({ list, query: request.query, rows, keyOf, order: 'asc' });
    linkNext(request, reply, { next: page.next, base });
    return page;
  });
}

function registerSearch(app: App, path: string, deps: EntityRoutes): void {
  const { base, entities, tenantOf } = deps;
  const schema = schemaOf(path, 'search', routes.searchEntities);
  app.get(path, { schema }, async (request, reply) => {
    const digest = await digestOf(deps, tenantOf(request), request.params);
    const { q = '', cursor } = request.query;
    const limit = limitOf(request.query);
    const list = JSON.stringify(['entities', digest, q]);
    const after = cursor === undefined ? null : decodePlace(list, cursor, [0, '', 0] as [number, string, number]);
    const rows = await entities.search(digest, { q, limit: limit + 1, after });
    const page = pageOf({
      rows,
      limit,
      item: ({ entity }) => entityJson(entity),
      cursorAfter: ({ place }) => encodePlace(list, place),
    });
    linkNext(request, reply, { next: page.next, base });
    return page;
  });
}

function registerFind(app: App, path: string, deps: EntityRoutes): void {
  const { tenantOf } = deps;
  const schema = schemaOf(path, 'get', routes.getEntity);
  app.get(path, { schema, config: { etag: true } }, async (request) => {
    const digest = await digestOf(deps, tenantOf(request), request.params);
    const { entity, key } = request.params;
    const result = await deps.entities.find(digest, key);
    if ('found' in result) return entityJson(result.found);
    throw new ApiError('entity_not_found', `There is no ${entity} '${key.slice(0, 100)}'.`, {
      suggestions: result.near,
    });
  });
}

/** The digest of the set that the version reads. */
async function digestOf(
  { versionOf }: EntityRoutes,
  tenant: string,
  { model, version, entity }: NamedSet,
): Promise<string> {
  const { entitySets } = await versionOf(tenant, model, version);
  const digest = Object.hasOwn(entitySets, entity) ? entitySets[entity] : undefined;
  if (digest !== undefined) return digest;
  throw new ApiError('entity_type_not_found', `Model '${model}' reads no entities of the type '${entity}'.`, {
    suggestions: Object.keys(entitySets).sort().slice(0, 10),
  });
}

/** The schema of the route at a path: with the parameters of the path, and a separate operation id. */
function schemaOf<T extends { operationId: string; params: TObject }>(path: string, verb: string, schema: T): T {
  const { version, ...properties } = schema.params.properties;
  const isPinned = path.includes(':version');
  const named = isPinned ? { version, ...properties } : properties;
  const operationId = `${verb}${isPinned ? 'Version' : 'Model'}${schema.operationId}`;
  return { ...schema, operationId, params: { ...schema.params, properties: named, required: Object.keys(named) } };
}

const entityJson = ({ key, name, aliases, attributes }: Entity) => ({ key, name, aliases, attributes });
