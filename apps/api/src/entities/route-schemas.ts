/** The schemas of the entity routes: parameters, responses and texts. Each route has a form for a named version. */
import type { FastifySchema } from 'fastify';
import { json, resource } from '../http/documentation.ts';
import { Entity, EntityList, EntityTypeList } from './response-schemas.ts';
import { EntityKeyParams, EntityParams, EntityQuery, TypesParams, TypesQuery } from './schemas.ts';

const tags = ['Entities'];
const entity = {
  key: 'PJVWKTKQMONHTI-UHFFFAOYSA-N',
  name: 'Warfarin',
  aliases: ['Coumadin'],
  attributes: { smiles: 'CC(=O)CC(c1ccccc1)C1=C(O)c2ccccc2OC1=O' },
};
const page = (item: unknown) => ({ data: [item], next: null, has_more: false });
const errors = [
  'model_not_found',
  'version_not_found',
  'version_failed',
  'model_unavailable',
  'store_unavailable',
] as const;

export const listEntityTypes = {
  operationId: 'EntityTypes',
  params: TypesParams,
  querystring: TypesQuery,
  tags,
  summary: 'List the types of entities',
  response: { 200: json(EntityTypeList, 'A page, sorted by name.', ['Link']) },
  responseExamples: { 200: { types: page({ name: 'drug', count: 196 }) } },
  errors: [...errors, 'invalid_cursor'],
} satisfies FastifySchema;

export const searchEntities = {
  operationId: 'Entities',
  params: EntityParams,
  querystring: EntityQuery,
  tags,
  summary: 'List entities, or find entities by a part of a name',
  response: { 200: json(EntityList, 'A page. Names that begin with `q` come first.', ['Link']) },
  responseExamples: { 200: { entities: page(entity) } },
  errors: [...errors, 'entity_type_not_found', 'invalid_cursor'],
} satisfies FastifySchema;

export const getEntity = {
  operationId: 'Entity',
  params: EntityKeyParams,
  tags,
  summary: 'An entity by key, name or alias',
  requestHeaders: ['If-None-Match'],
  response: resource(Entity, 'The entity.'),
  responseExamples: { 200: { entity } },
  errors: [...errors, 'entity_type_not_found', 'entity_not_found'],
} satisfies FastifySchema;
