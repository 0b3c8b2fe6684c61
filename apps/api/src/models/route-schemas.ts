/** The schemas of the model routes: parameters, bodies, responses and texts. */
import type { FastifySchema } from 'fastify';
import { NoParameters } from '../http/action-body.ts';
import { DONE, json, resource } from '../http/documentation.ts';
import { alias, card, model, page, version } from './response-examples.ts';
import { Alias, Card, Model, ModelList, Version, VersionList } from './response-schemas.ts';
import { AliasBody, AliasParams, ListQuery, ModelParams, ModelsQuery, VersionParams } from './schemas.ts';

export const listModels = {
  operationId: 'listModels',
  querystring: ModelsQuery,
  tags: ['Models'],
  summary: 'List models',
  response: { 200: json(ModelList, 'A page, sorted by name.', ['Link']) },
  responseExamples: { 200: { models: page(model) } },
  errors: ['invalid_cursor', 'store_unavailable'],
} satisfies FastifySchema;

export const getModel = {
  operationId: 'getModel',
  params: ModelParams,
  tags: ['Models'],
  summary: 'A model',
  requestHeaders: ['If-None-Match'],
  response: resource(Model, 'The model.'),
  responseExamples: { 200: { model } },
  errors: ['model_not_found', 'store_unavailable'],
} satisfies FastifySchema;

export const listVersions = {
  operationId: 'listVersions',
  params: ModelParams,
  querystring: ListQuery,
  tags: ['Models'],
  summary: 'List the versions of a model, newest first',
  response: { 200: json(VersionList, 'A page.', ['Link']) },
  responseExamples: { 200: { versions: page(version) } },
  errors: ['model_not_found', 'invalid_cursor', 'store_unavailable'],
} satisfies FastifySchema;

export const getVersion = {
  operationId: 'getVersion',
  params: VersionParams,
  tags: ['Models'],
  summary: 'A version, by name or alias',
  requestHeaders: ['If-None-Match'],
  response: resource(Version, 'The version.'),
  responseExamples: { 200: { version } },
  errors: ['model_not_found', 'version_not_found', 'store_unavailable'],
} satisfies FastifySchema;

export const getCard = {
  operationId: 'getCard',
  params: VersionParams,
  tags: ['Models'],
  summary: 'The card of a version: README.md and metrics.json of its folder or of the model',
  requestHeaders: ['If-None-Match'],
  response: resource(Card, 'The card. The members are null without the files.'),
  responseExamples: { 200: { card } },
  errors: ['model_not_found', 'version_not_found', 'store_unavailable'],
} satisfies FastifySchema;

export const getAlias = {
  operationId: 'getAlias',
  params: AliasParams,
  tags: ['Models'],
  summary: 'An alias',
  requestHeaders: ['If-None-Match'],
  response: resource(Alias, 'The alias.'),
  responseExamples: { 200: { alias } },
  errors: ['model_not_found', 'alias_not_found', 'store_unavailable'],
} satisfies FastifySchema;

export const setAlias = {
  operationId: 'setAlias',
  params: AliasParams,
  body: AliasBody,
  tags: ['Models'],
  summary: 'Point an alias at a version',
  examples: { production: { version: '1' } },
  requestHeaders: ['If-Match', 'If-None-Match'],
  response: { 200: json(Model, 'The model, with its aliases. `ETag` is the tag of the alias.', ['ETag']) },
  responseExamples: { 200: { model } },
  errors: [
    'model_not_found',
    'version_not_found',
    'version_failed',
    'alias_conflict',
    'precondition_failed',
    'store_unavailable',
  ],
} satisfies FastifySchema;

export const removeAlias = {
  operationId: 'removeAlias',
  params: AliasParams,
  tags: ['Models'],
  summary: 'Remove an alias',
  requestHeaders: ['If-Match'],
  response: { 204: DONE },
  errors: ['model_not_found', 'alias_not_found', 'precondition_failed', 'store_unavailable'],
} satisfies FastifySchema;

export const retireVersion = {
  operationId: 'retireVersion',
  params: VersionParams,
  body: NoParameters,
  examples: { none: {} },
  tags: ['Models'],
  summary: 'Take a version out of service for good',
  description:
    'Requests that name the version are refused from then on. A retired version stays retired: add a new version to serve its files again.',
  response: { 200: json(Version, 'The version.') },
  responseExamples: { 200: { version } },
  errors: ['model_not_found', 'version_not_found', 'alias_conflict', 'store_unavailable'],
} satisfies FastifySchema;

export const purgeCache = {
  operationId: 'purgeCache',
  params: ModelParams,
  tags: ['Models'],
  summary: "Purge a model's cached results",
  response: { 204: DONE },
  errors: ['model_not_found', 'store_unavailable'],
} satisfies FastifySchema;
