/** The routes for the view of the whole system: the history of predictions, and the workers. */
import { ApiError } from '@millrace/shared/errors';
import { sharedNow } from '@millrace/shared/postgres/clock';
import type { Db } from '@millrace/shared/postgres/db';
import { findWorker, listWorkers } from '@millrace/shared/queue/worker-list';
import type { Connection } from '@millrace/shared/redis/connection';
import type { Keys } from '@millrace/shared/redis/keys';
import { readModelStats } from '@millrace/shared/stats/model-stats';
import { ALL } from '@millrace/shared/stats/stats-counts';
import { readStats } from '@millrace/shared/stats/stats-table';
import { DEFAULT_TENANT } from '@millrace/shared/tenants/default-tenant';
import type { FastifyRequest } from 'fastify';
import { decodePlace, encodePlace } from '../http/cursor.ts';
import { limitOf, linkNext, pageOf } from '../http/list.ts';
import { fromStore } from '../http/store-errors.ts';
import type { App } from '../http/type-provider.ts';
import type { PresentQueue, PresentQueues } from './present-queues.ts';
import { modelStatsJson, stepsJson, workerJson } from './render.ts';
import * as routes from './route-schemas.ts';
import { modelPageOf, reachesPresent, type StepRange, pageOf as stepPageOf } from './stats-query.ts';

export interface StatsRoutes {
  /** The public URL without a final slash; '' for links that are paths. */
  base: string;
  db: Db;
  redis: Connection;
  keys: Keys;
  queues: Pick<PresentQueues, 'read'>;
  tenantOf(request: FastifyRequest): string;
}

export function registerStats(app: App, { base, db, redis, keys, queues, tenantOf }: StatsRoutes): void {
  /** The present queues, for a range that reaches the present. */
  const presentOf = async (tenant: string, range: StepRange | undefined): Promise<ReadonlyMap<string, PresentQueue>> =>
    range !== undefined && seesAll(tenant) && reachesPresent(range, sharedNow()) ? queues.read() : new Map();

  app.get('/v1/stats', { schema: routes.listStats }, async (request, reply) => {
    const { query } = request;
    const tenant = tenantOf(request);
    const { next, ...range } = stepPageOf(query, tenant, sharedNow());
    const series = { tenant: seesAll(tenant) ? ALL : tenant, model: query.model ?? ALL };
    const points = range.points === 0 ? [] : await fromStore('Postgres', readStats(db, { ...range, ...series }));
    const present = await presentOf(tenant, next === null ? range : undefined);
    linkNext(request, reply, { next, base });
    return { data: stepsJson(points, range, present.get(series.model)), next, has_more: next !== null };
  });

  app.get('/v1/stats/models', { schema: routes.listModelStats }, async (request, reply) => {
    const { query } = request;
    const tenant = tenantOf(request);
    const limit = limitOf(query);
    const { list, after, ...range } = modelPageOf(query, tenant, sharedNow());
    const read = { ...range, tenant: seesAll(tenant) ? ALL : tenant, limit: limit + 1, after };
    const rows = range.points === 0 ? [] : await fromStore('Postgres', readModelStats(db, read));
    const present = await presentOf(tenant, range);
    const page = pageOf({
      rows,
      limit,
      item: (row) => modelStatsJson(row, range, present.get(row.model)),
      cursorAfter: ({ requests, model }) => encodePlace(list, [range.fromMs, range.toMs, range.stepS, requests, model]),
    });
    linkNext(request, reply, { next: page.next, base });
    return page;
  });

  app.get('/v1/workers', { schema: routes.listWorkers }, async (request, reply) => {
    requireOperator(tenantOf(request));
    const { cursor } = request.query;
    const limit = limitOf(request.query);
    const after = cursor === undefined ? undefined : decodePlace('workers', cursor, [''] as [string])[0];
    const rows = await fromStore('Redis', listWorkers(redis, keys, { after, limit }));
    const page = pageOf({
      rows,
      limit,
      item: workerJson,
      cursorAfter: ({ id }) => encodePlace('workers', [id]),
    });
    linkNext(request, reply, { next: page.next, base });
    return page;
  });

  app.get('/v1/workers/:id', { schema: routes.getWorker, config: { etag: true } }, async (request) => {
    requireOperator(tenantOf(request));
    const { id } = request.params;
    const worker = await fromStore('Redis', findWorker(redis, keys, id));
    if (worker === undefined) throw new ApiError('not_found', `No worker has the id '${id.slice(0, 64)}'.`);
    return workerJson(worker);
  });
}

/** Without API keys every caller is the tenant `default`. */
const seesAll = (tenant: string): boolean => tenant === DEFAULT_TENANT;

function requireOperator(tenant: string): void {
  if (seesAll(tenant)) return;
  throw new ApiError('not_found', "Only the tenant 'default' sees the workers: send an API key of this tenant.");
}
