/** The schemas of the entity routes: parameters, responses and texts. */
import type { FastifySchema } from 'fastify';
import { json } from '../http/documentation.ts';
import { Entity, EntityList } from './response-schemas.ts';
import { EntityKeyParams, EntityParams, EntityQuery } from './schemas.ts';

export const searchEntities = {
  operationId: 'searchEntities',
  params: EntityParams,
  querystring: EntityQuery,
  tags: ['Entities'],
  summary: 'Look up entities by part of a name',
  response: { 200: json(EntityList, 'The entities; names that begin with `q` first.') },
  errors: ['entity_not_found', 'store_unavailable'],
} satisfies FastifySchema;

export const getEntity = {
  operationId: 'getEntity',
  params: EntityKeyParams,
  tags: ['Entities'],
  summary: 'An entity by key, name or alias',
  response: { 200: json(Entity, 'The entity.') },
  errors: ['entity_not_found', 'store_unavailable'],
} satisfies FastifySchema;
