/** The routes that search entities and return an entity. */

import type { Entity } from '@millrace/shared/entities/entity';
import { ApiError } from '@millrace/shared/errors';
import type { FastifyRequest } from 'fastify';
import type { App } from '../http/type-provider.ts';
import type { EntityLookup } from './entity-lookup.ts';
import { getEntity, searchEntities } from './route-schemas.ts';

export function registerEntities(
  app: App,
  { entities, tenantOf }: { entities: EntityLookup; tenantOf(request: FastifyRequest): string },
): void {
  const unknown = (entity: string) => new ApiError('entity_not_found', `There is no entity '${entity}'.`);

  app.get('/v1/entities/:entity', { schema: searchEntities }, async (request) => {
    const { entity } = request.params;
    const { q = '', limit = 10 } = request.query;
    const rows = await entities.search(tenantOf(request), entity, q, limit);
    if (rows === null) throw unknown(entity);
    return { entities: rows.map(entityJson) };
  });

  app.get('/v1/entities/:entity/:key', { schema: getEntity }, async (request) => {
    const { entity, key } = request.params;
    const result = await entities.find(tenantOf(request), entity, key);
    if (result === null) throw unknown(entity);
    if ('found' in result) return entityJson(result.found);
    throw new ApiError('entity_not_found', `There is no ${entity} '${key.slice(0, 100)}'.`, {
      suggestions: result.near,
    });
  });
}

const entityJson = ({ key, name, aliases, attributes }: Entity) => ({ key, name, aliases, attributes });
