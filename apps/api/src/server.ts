/** One API process: opens the stores, composes the application, listens, and closes in reverse order. */

import type { FileStore } from '@millrace/shared/files/file-store';
import { findFile } from '@millrace/shared/files/file-table';
import { openFileStore } from '@millrace/shared/files/open-file-store';
import { oldestEndMs } from '@millrace/shared/live/ledger-stream';
import { readQueueCounts } from '@millrace/shared/live/queue-counts';
import { sharedNow } from '@millrace/shared/postgres/clock';
import { createClosers } from '@millrace/shared/process/closers';
import type { Config } from '@millrace/shared/process/config';
import { findCard } from '@millrace/shared/registry/model-cards';
import { queueNames, readyModels } from '@millrace/shared/registry/registry';
import { StatsWriter } from '@millrace/shared/stats/stats-writer';
import { createIdempotentRequests, type IdempotentRequests } from '@millrace/shared/tenants/idempotent-requests';
import type { Tracing } from '@millrace/shared/tracing/tracing';
import { createWebhookTimers } from '@millrace/shared/webhooks/timers';
import type { FastifyInstance } from 'fastify';
import type { Logger } from 'pino';
import { buildApp } from './app.ts';
import { openSessions } from './console/open-sessions.ts';
import { createEntityLookup, entitiesOfVersion } from './entities/entity-lookup.ts';
import { Draining } from './http/graceful-shutdown.ts';
import type { KnownKeys } from './http/known-keys.ts';
import { openKnownKeys, openKnownSessions } from './http/open-known-keys.ts';
import type { HttpMetrics } from './http/request-metrics.ts';
import { fromStore } from './http/store-errors.ts';
import { ImageReader } from './images/image-reader.ts';
import type { CanonicalFormTimes } from './models/canonical-form-times.ts';
import type { Catalog } from './models/catalog.ts';
import { type OpenCatalog, openCatalog } from './models/open-catalog.ts';
import { RunningProviders } from './models/running-providers.ts';
import { createMetrics } from './operations/metrics.ts';
import { openPredictions, type PredictionServices } from './predictions/prediction-services.ts';
import { checksOf, workersOf } from './ready-checks.ts';
import { PresentQueues } from './stats/present-queues.ts';
import { type OpenParams, openStores, START_TIMEOUT_MS, type Stores, whileLate } from './stores/open-stores.ts';
import { createWebhookCheck } from './webhooks/check-target.ts';

export interface RunningApi {
  app: FastifyInstance;
  url: string;
  close(deadlineMs: number): Promise<string[]>;
  /** See main-process.ts. */
  mustStop: Promise<string>;
}

/** Resolves when the API listens. Without `tracing` traces are switched off. When the start fails, all open parts are closed, and the error states the reason. */
export async function startApi(config: Config, log: Logger, tracing?: Tracing): Promise<RunningApi> {
  const closers = createClosers((name, error) => log.warn({ err: error, part: name }, 'a part could not be closed'));
  try {
    return await start({ config, log, closers }, tracing);
  } catch (error) {
    await closers.close(5_000);
    throw error;
  }
}

async function start({ config, log, closers }: OpenParams, tracing: Tracing | undefined): Promise<RunningApi> {
  // The traces close last, so that the spans of the other parts are sent.
  if (tracing) closers.push('traces', () => tracing.close());
  const stores = await openStores({ config, log, closers });
  const { db, queue, cache } = stores;
  const store = await openFileStore(config);
  const { catalog, changes, times } = await openModels({ config, log, closers, stores, store });
  const timers = createWebhookTimers({ connection: queue.redis, keyPrefix: config.keyPrefix });
  closers.push('webhook timers', () => timers.close());
  const checkWebhook = createWebhookCheck(config);
  const tenantOfKey = tenantsOf(await openKnownKeys({ config, db, closers, log }, START_TIMEOUT_MS));
  const tenantOfSession = tenantsOf(openKnownSessions({ config, db, closers, log }));
  const metrics = metricsOf({ stores, catalog, times, predictions: () => predictions });
  const history = new StatsWriter({
    db,
    onError: (error) => log.warn({ err: error }, 'the history cannot be written: the counts wait in memory'),
  });
  closers.push('history', () => history.close());
  const predictions = openPredictions({
    config,
    log,
    closers,
    stores,
    catalog,
    checkWebhook,
    timers,
    metrics,
    counts: history.counts,
  });
  const draining = new Draining();
  const app = await buildApp({
    ...predictions,
    config,
    log,
    tracing,
    catalog,
    changes,
    cardOf: (version) => fromStore('Postgres', findCard(db, version)),
    metrics,
    idempotentRequests: idempotentRequestsOf(db),
    entities: createEntityLookup(cache.readThrough, db),
    webhooks: { db, timers, checkWebhook },
    providers: new RunningProviders(() => workersOf(queue.redis, stores.keys)),
    files: { db, store },
    stats: { db, redis: queue.redis, keys: stores.keys, queues: presentQueues(stores) },
    checks: checksOf({ config, stores, catalog, draining, predictions }),
    tenantOfKey,
    tenantOfSession,
    sessions: openSessions({ db, tenantOfKey, tenantOfSession, fromPostgres: (call) => fromStore('Postgres', call) }),
  });
  closers.push('http', () => app.close());
  const { waiting, release } = predictions;
  const { shutdownMs } = config;
  closers.push('callers', () => draining.run({ server: app.server, waiting, release, shutdownMs }));
  await openForRequests({ stores, catalog, predictions });
  const url = await app.listen({ host: config.host, port: config.port });
  return { app, url, mustStop: queue.mustStop, close: (deadlineMs) => closers.close(deadlineMs) };
}

/** Opens the models with their handlers, and the images that inputs name. */
async function openModels(params: OpenParams & { stores: Stores; store: FileStore | undefined }): Promise<OpenCatalog> {
  const { config, log, closers, stores, store } = params;
  const { db, queue, cache, keys } = stores;
  const images = new ImageReader({
    findFile: (tenant, id) => fromStore('Postgres', findFile(db, { tenant, id, nowMs: sharedNow() })),
    store,
    config,
  });
  closers.push('image fetches', async () => images.close());
  return openCatalog({
    config,
    log,
    closers,
    db,
    readThrough: cache.readThrough,
    keys,
    redis: queue.redis,
    connect: () => queue.connect('blocking', 'registry'),
    entitiesOf: (version) => entitiesOfVersion(cache.readThrough, db, version),
    images,
  });
}

/**
 * Reads the registry and opens the connections that the first requests need. A request waits for a store much shorter than a store on
 * busy cores takes to open a connection, so a process that listened first would report the store as absent.
 */
async function openForRequests(parts: {
  stores: Stores;
  catalog: Catalog;
  predictions: Pick<PredictionServices, 'open'>;
}): Promise<void> {
  const { stores, catalog, predictions } = parts;
  await whileLate(() => catalog.models('default'));
  const models = await whileLate(() => readyModels(stores.db));
  await predictions.open(models, START_TIMEOUT_MS);
}

function presentQueues({ db, queue: { redis }, keys }: Stores): PresentQueues {
  const counts = (model: string) => readQueueCounts(redis, keys, model);
  return new PresentQueues({ redis, keys, counts, models: () => queueNames(db) });
}

interface MeasuredParts {
  stores: Stores;
  catalog: Catalog;
  times: Pick<CanonicalFormTimes, 'histogram'>;
  /** Called at a scrape. */
  predictions(): Pick<PredictionServices, 'waiting' | 'watcher' | 'queues' | 'queueMemory'>;
}

function metricsOf({ stores, catalog, times, predictions }: MeasuredParts): HttpMetrics {
  const { queue, cache, clock, keys } = stores;
  return createMetrics({
    waiting: () => predictions().waiting(),
    watched: () => predictions().watcher.size,
    queues: () => predictions().queues(),
    queueMemory: () => predictions().queueMemory(),
    recorderLagS: async () => (await oldestEndMs(queue.redis, keys)) / 1_000,
    defaults: async () =>
      (await catalog.models('default')).models.flatMap(({ model, defaultVersion: version }) =>
        version === null || version === undefined ? [] : [{ model, version }],
      ),
    canonicalForms: times.histogram,
    stores: stores.metrics,
    damage: cache.damage,
    clock,
    queueWritable: () => queue.probe.proven,
    cacheWritable: () => cache.probe.proven,
  });
}

/** A claim that Postgres cannot take refuses the request. */
function idempotentRequestsOf(db: Stores['db']): IdempotentRequests {
  const requests = createIdempotentRequests(db);
  return { ...requests, claim: (request) => fromStore('Postgres', requests.claim(request)) };
}

const tenantsOf = (known: KnownKeys) => (secret: string) => {
  const tenant = known.tenantOf(secret);
  return tenant instanceof Promise ? fromStore('Postgres', tenant) : tenant;
};
