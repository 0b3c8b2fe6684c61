/** One API process: opens the stores, composes the application, listens, and closes in reverse order. */

import { openFileStore } from '@millrace/shared/files/open-file-store';
import { oldestEndMs } from '@millrace/shared/live/ledger-stream';
import { readQueueCounts } from '@millrace/shared/live/store';
import { checkWritable } from '@millrace/shared/postgres/read-only';
import { createClosers } from '@millrace/shared/process/closers';
import type { Config } from '@millrace/shared/process/config';
import { listWorkers } from '@millrace/shared/queue/worker-list';
import type { Connection } from '@millrace/shared/redis/connection';
import type { Keys } from '@millrace/shared/redis/keys';
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
import { openCatalog } from './models/open-catalog.ts';
import { RunningProviders } from './models/running-providers.ts';
import { checkAdmission, checkLag, checkPromises, checkWorkers } from './operations/health-checks.ts';
import { createMetrics } from './operations/metrics.ts';
import { checkAll } from './operations/readiness.ts';
import type { Checks } from './operations/routes.ts';
import { openPredictions, type PredictionServices } from './predictions/prediction-services.ts';
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
  const images = new ImageReader({ db, store, config });
  closers.push('image fetches', async () => images.close());
  const { catalog, changes, times } = await openCatalog({
    config,
    log,
    closers,
    stores,
    entitiesOf: (version) => entitiesOfVersion(cache.readThrough, db, version),
    images,
  });
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

interface CheckedParts {
  config: Config;
  predictions: Pick<PredictionServices, 'queueMemory' | 'promiseFault' | 'queues'>;
  stores: Stores;
  catalog: Catalog;
  draining: Draining;
}

function checksOf({ config, stores, catalog, draining, predictions }: CheckedParts): Checks {
  const { queue, cache, clock, db, keys } = stores;
  // A cache Redis that refuses writes may still return results.
  let returnsResults = true;
  const checks = {
    process: async () => {
      if (draining.leaving) throw new Error('stopping');
    },
    redis: () => queue.probe.prove(),
    async cache() {
      try {
        await cache.probe.prove();
        returnsResults = true;
      } catch (error) {
        returnsResults = await cache.redis.strlen(keys.probe(0, 'read')).then(
          () => true,
          () => false,
        );
        throw error;
      }
    },
    postgres: () => checkWritable(db),
    clock: async () => {
      const fault = clock.fault();
      if (fault !== undefined) throw new Error(fault);
    },
    models: async () => {
      const { servable, problems } = await catalog.condition('default');
      if (servable === 0) throw new Error(['no model is ready', ...problems.slice(0, 3)].join('. '));
    },
    admission: async () => checkAdmission(predictions.queueMemory(), config.maxMemoryShare),
    promises: async () => checkPromises(predictions.promiseFault()),
    workers: async () => checkWorkers(await predictions.queues(), () => workersOf(queue.redis, keys)),
    recorder: async () => checkLag(await oldestEndMs(queue.redis, keys), config.recorderLagMs),
  };
  return {
    ready: () => checkAll(checks),
    degraded: async () => (await catalog.condition('default')).problems,
    serves: (isFaulty) =>
      !['process', 'clock', 'models'].some(isFaulty) && (!isFaulty('cache') || returnsResults || !isFaulty('redis')),
  };
}

/** The running workers of one look: each entry has the models of a worker. */
const workersOf = (redis: Connection, keys: Keys) => listWorkers(redis, keys, { after: undefined, limit: 1_000 });
