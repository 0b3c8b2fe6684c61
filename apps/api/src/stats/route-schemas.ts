/** The schemas of the routes of the history and of the workers. */
import type { FastifySchema } from 'fastify';
import { json, resource } from '../http/documentation.ts';
import * as examples from './response-examples.ts';
import { ModelStatsList, StatsList, Worker, WorkerList } from './response-schemas.ts';
import { ModelStatsQuery, StatsQuery, WorkerParams, WorkersQuery } from './schemas.ts';

const tags = ['Operations'];

export const listStats = {
  operationId: 'listStats',
  querystring: StatsQuery,
  tags,
  summary: 'The history of predictions in steps, oldest first',
  description:
    'The tenant `default` sees all tenants. Every other tenant sees its own predictions, without `waiting` and `oldest_waiting_s`.',
  response: { 200: json(StatsList, 'The steps.', ['Link']) },
  responseExamples: { 200: { hour: examples.steps } },
  errors: ['invalid_cursor', 'store_unavailable'],
} satisfies FastifySchema;

export const listModelStats = {
  operationId: 'listModelStats',
  querystring: ModelStatsQuery,
  tags,
  summary: 'The history of each model, most requests first',
  description:
    'The models with predictions in the range. `values` has the counts of the whole range; the quantiles are of the last minute, ten minutes or ' +
    'hour in which a prediction of the model has ended. The tenant `default` sees all tenants.',
  response: { 200: json(ModelStatsList, 'The models.', ['Link']) },
  responseExamples: { 200: { minute: examples.modelStats } },
  errors: ['invalid_cursor', 'store_unavailable'],
} satisfies FastifySchema;

export const listWorkers = {
  operationId: 'listWorkers',
  querystring: WorkersQuery,
  tags,
  summary: 'List the workers, by id',
  description: 'Only for the tenant `default`. A worker that died is listed for an hour.',
  response: { 200: json(WorkerList, 'A page.', ['Link']) },
  responseExamples: { 200: { page: examples.workers } },
  errors: ['not_found', 'invalid_cursor', 'store_unavailable'],
} satisfies FastifySchema;

export const getWorker = {
  operationId: 'getWorker',
  params: WorkerParams,
  tags,
  summary: 'A worker',
  description: 'Only for the tenant `default`.',
  requestHeaders: ['If-None-Match'],
  response: resource(Worker, 'The worker.'),
  responseExamples: { 200: { worker: examples.worker } },
  errors: ['not_found', 'store_unavailable'],
} satisfies FastifySchema;
