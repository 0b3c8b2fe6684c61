/** One API process: opens the stores, builds the application on them, listens, and closes in reverse. */

import { Batcher } from '@millrace/shared/batching/batcher';
import { CacheDamage } from '@millrace/shared/cache/damage';
import { holdsCache, queueMemoryAdvice } from '@millrace/shared/cache/queue-memory';
import { createReadThrough } from '@millrace/shared/cache/read-through';
import { createResultCache } from '@millrace/shared/cache/result-cache';
import { buildEntities } from '@millrace/shared/entities/entity-index';
import { ApiError } from '@millrace/shared/errors';
import {
  findEnded,
  findEnds,
  findKeyed,
  findPrediction,
  findTaskless,
  insertPromises,
  listPredictions,
  markRetried,
  markTerminal,
  type PromiseRow,
  readOutputs,
  recordTerminal,
} from '@millrace/shared/ledger/ledger';
import { LiveStore } from '@millrace/shared/live/store';
import { type Clock, sharedNow, startClock } from '@millrace/shared/postgres/clock';
import { createPool } from '@millrace/shared/postgres/db';
import { checkPostgres } from '@millrace/shared/postgres/migrate';
import { checkWritable } from '@millrace/shared/postgres/read-only';
import { createClosers } from '@millrace/shared/process/closers';
import type { Config } from '@millrace/shared/process/config';
import { withTimeout } from '@millrace/shared/process/timeout';
import { createQueues } from '@millrace/shared/queue/queues';
import { expectOutput, readQueueMemory } from '@millrace/shared/queue/reserved-outputs';
import { checkQueueRedis, waitForRedis } from '@millrace/shared/redis/connection';
import { claimQueueFormat, watchQueueFormat } from '@millrace/shared/redis/format';
import { keysFor } from '@millrace/shared/redis/keys';
import { openRedisStore } from '@millrace/shared/redis/redis-store';
import { setServed } from '@millrace/shared/registry/registry';
import { announceRegistryChange, readRegistry } from '@millrace/shared/registry/registry-cache';
import { createWebhookTimers } from '@millrace/shared/webhooks/timers';
import type { FastifyInstance } from 'fastify';
import type { Logger } from 'pino';
import { buildApp } from './app.ts';
import { createKnownAnswer } from './cache/cache-lookup.ts';
import { createLocalResults, REFRESH_EVERY_MS } from './cache/local-results.ts';
import { ParsedRequests } from './cache/parsed-requests.ts';
import { createEntityLookup, entitiesOfVersion } from './entities/entity-lookup.ts';
import { Draining } from './http/graceful-shutdown.ts';
import { openKnownKeys } from './http/open-known-keys.ts';
import { createCanonicalizer } from './models/canonicalizer.ts';
import { createCatalog } from './models/catalog.ts';
import { createRegistryChanges } from './models/registry-changes.ts';
import { createMetrics } from './operations/metrics.ts';
import { checkAll } from './operations/readiness.ts';
import { createActions } from './predictions/cancel-retry.ts';
import { createPredict } from './predictions/create-prediction.ts';
import { createFinder } from './predictions/find-prediction.ts';
import { createIdempotency } from './predictions/idempotency-claims.ts';
import { createListing } from './predictions/list-predictions.ts';
import { Streams } from './predictions/prediction-watcher.ts';
import { CompletionListener } from './queue/completion-listener.ts';
import { EstimateWatch } from './queue/estimate-watch.ts';
import { QueueLoad } from './queue/queue-load.ts';
import { queuedByModel } from './queue/queued-by-model.ts';
import { createSubmitter } from './queue/submitter.ts';
import { RedisWatch } from './stores/redis-watch.ts';
import { fromStore } from './stores/store-errors.ts';
import { createWebhookCheck } from './webhooks/check-target.ts';

const START_TIMEOUT_MS = 10_000;
/** Time-out of a large text, in time-outs of a small command: the text may wait for others of its size. */
const LARGE_PATIENCE = 4;
const PROMISES_PER_COMMIT = 500;
const PROMISES_WAITING = 50_000;
/** Bytes of tasks in one commit, and of all that wait for theirs. */
const PROMISE_BYTES = 4 * 1_048_576;
const PROMISE_BYTES_WAITING = 256 * 1_048_576;

export interface RunningApi {
  app: FastifyInstance;
  url: string;
  close(deadlineMs: number): Promise<string[]>;
  /** See main-process.ts. */
  mustStop: Promise<string>;
}

/** Resolves when it listens. When it cannot start, what was opened is closed, and the error says why. */
export async function startApi(config: Config, log: Logger): Promise<RunningApi> {
  const closers = createClosers((name, error) => log.warn({ err: error, part: name }, 'could not be closed'));
  try {
    const keys = keysFor(config.keyPrefix);
    const queueRedis = openRedisStore({
      config,
      setting: 'REDIS_URL',
      process: 'millrace-api',
      log,
      consequence: 'The queue Redis takes no writes: predictions are refused.',
    });
    closers.push('queue probe', () => queueRedis.close());
    const connect = (kind: 'producer' | 'blocking', name: string, timeoutMs = config.storeTimeoutMs) =>
      queueRedis.connect(kind, {
        timeoutMs,
        name: `millrace-api-${name}`,
        onError: (error) => log.debug({ err: error, connection: name }, 'Redis connection error'),
      });
    const redis = connect('producer', 'main');
    closers.push('redis', () => redis.disconnect());
    await waitForRedis(redis, 'The queue Redis (REDIS_URL)', START_TIMEOUT_MS);
    const largeRedis = connect('producer', 'large', LARGE_PATIENCE * config.storeTimeoutMs);
    closers.push('redis for large texts', () => largeRedis.disconnect());
    await waitForRedis(largeRedis, 'The queue Redis (REDIS_URL)', START_TIMEOUT_MS);
    await checkQueueRedis(redis, queueRedis.user);
    await claimQueueFormat(redis, keys);
    const { promise: mustStop, resolve: onNewer } = Promise.withResolvers<string>();
    const format = watchQueueFormat({ redis, keys, onNewer });
    closers.push('format watch', () => format.close());
    const cacheStore = openRedisStore({
      config,
      setting: 'CACHE_REDIS_URL',
      process: 'millrace-api',
      log,
      consequence: 'The cache Redis takes no writes: every new question is a miss.',
    });
    closers.push('cache probe', () => cacheStore.close());
    const cacheTimeoutMs = Math.min(config.storeTimeoutMs, 200);
    const cacheRedis = cacheStore.connect('producer', {
      timeoutMs: cacheTimeoutMs,
      autoPipeline: true,
      name: 'millrace-api-cache',
    });
    closers.push('cache', () => cacheRedis.disconnect());
    const largeCacheRedis = cacheStore.connect('producer', {
      timeoutMs: LARGE_PATIENCE * cacheTimeoutMs,
      name: 'millrace-api-cache-large',
    });
    closers.push('cache for large values', () => largeCacheRedis.disconnect());
    const memory = { holdsCache: await holdsCache(redis, cacheRedis), maxMemoryShare: config.maxMemoryShare };
    for (const sentence of await queueMemoryAdvice(redis, memory)) log.warn(sentence);
    const db = createPool({
      databaseUrl: config.databaseUrl,
      max: 10,
      statementTimeoutMs: config.storeTimeoutMs,
      applicationName: 'millrace-api',
      onError: (error) => log.debug({ err: error }, 'Postgres connection error'),
    });
    closers.push('postgres', () => db.end());
    await checkPostgresPatiently(db, config.databaseUrl);
    const clock = await startClock({ db, maxSkewMs: config.maxClockSkewMs, log });
    closers.push('clock', () => clock.close());
    const checkClock = () => refuseWrongClock(clock);

    const damage = new CacheDamage(log);
    const readThrough = createReadThrough({
      redis: cacheRedis,
      keys,
      ttlMs: config.queryTtlMs,
      onError: (error) => log.debug({ err: error }, 'the cache does not answer'),
      onDamaged: () => damage.found('query'),
    });
    closers.push('read-through', () => readThrough.close());
    const live = new LiveStore(redis, keys, config.liveTtlMs, largeRedis);
    const queues = createQueues(redis, keys, (error) => log.debug({ err: error }, 'queue error'));
    closers.push('queues', () => queues.close());
    const completions = new CompletionListener({
      live,
      keys,
      connect: (shard) => connect('blocking', `events-${shard}`),
      findEnded: (id) => findEnded(db, id),
      findRecorded: (ids) => findEnds(db, ids),
      log,
    });
    closers.push('completions', () => completions.close());
    const loads = new QueueLoad({
      live,
      readMemory: () => readQueueMemory(redis, keys),
      expectOutput: (model, bytes) => expectOutput(redis, keys, { model, bytes }),
    });
    // On a connection of its own: behind a large reply a PING would be late, and Redis would look absent.
    const watchRedis = connect('producer', 'watch');
    closers.push('redis watch connection', () => watchRedis.disconnect());
    const watch = new RedisWatch(watchRedis);
    closers.push('redis watch', () => watch.close());
    const redisReady = () => watch.ready && queueRedis.probe.writable;
    const cacheWritable = () => cacheStore.probe.proven;
    const promises = new Batcher<PromiseRow, void>({
      // A connection may have to be opened first, which has a time-out of its own.
      run: async (rows) => {
        await withTimeout(config.storeTimeoutMs + 200, insertPromises(db, rows), 'The commit of promises');
        return rows.map(() => undefined);
      },
      defer: (start) => start(),
      maxItems: PROMISES_PER_COMMIT,
      maxWaiting: PROMISES_WAITING,
      bytesOf: ({ task }) => task.length,
      maxBytes: PROMISE_BYTES,
      maxWaitingBytes: PROMISE_BYTES_WAITING,
      concurrency: 2,
      // Each would find out by a time-out of its own what the one before it did.
      failsAll: () => true,
    });
    closers.push('promises', () => promises.drain());
    const finder = createFinder({
      live,
      loads,
      completions,
      redisReady,
      isClockRight: () => clock.fault() === undefined,
      findInLedger: async (tenant, id) => (await findTaskless(db, tenant, id)) ?? null,
    });
    const catalog = createCatalog({
      loadRegistry: (tenant) => fromStore('Postgres', readRegistry(readThrough, db, tenant)),
      loadCanonicalizer: (version) =>
        createCanonicalizer(version, config.modelsDir, async (v) =>
          buildEntities(await entitiesOfVersion(readThrough, db, v)),
        ),
      log,
    });
    const publishChange = (tenant: string) => redis.publish(keys.registryChannel(), tenant);
    const listener = connect('blocking', 'registry');
    closers.push('registry listener', () => listener.disconnect());
    listener.on('message', () => catalog.changed());
    await listener.subscribe(keys.registryChannel());

    const parsedRequests = new ParsedRequests();
    const cache = createLocalResults(
      createResultCache(cacheRedis, keys, {
        onError: (error) => log.debug({ err: error }, 'the cache does not answer'),
        onDamaged: () => damage.found('result'),
        large: largeCacheRedis,
      }),
    );
    const refreshing = setInterval(() => void cache.refresh(sharedNow()), REFRESH_EVERY_MS).unref();
    closers.push('near results', () => clearInterval(refreshing));
    const limits = { ...config, maxMemoryShare: config.maxMemoryShare / 100 };
    const streams = new Streams(finder, completions);
    closers.push('streams', () => streams.close());
    const checkWebhook = createWebhookCheck(config);
    const timers = createWebhookTimers({ connection: redis, keyPrefix: config.keyPrefix });
    closers.push('webhook timers', () => timers.close());
    const draining = new Draining();
    const defaultModels = async () => (await catalog.models('default')).models.map(({ model }) => model);
    const knownKeys = openKnownKeys({ config, db, closers, log });
    const metrics = createMetrics({
      waiting: () => completions.waiting,
      watched: () => streams.size,
      queued: () => queuedByModel({ live, models: defaultModels }),
      damage,
      clock,
      queueWritable: () => queueRedis.probe.proven,
      cacheWritable,
    });
    const estimates = new EstimateWatch({
      read: (id) => live.read(id),
      onRun: (model, ms) => loads.observeRun(model, ms),
      registry: metrics.registry,
    });
    closers.push('estimates', () => estimates.close());
    const app = buildApp({
      webhooks: { db, timers, checkWebhook },
      tenantOfKey: (key) => {
        const tenant = knownKeys.tenantOf(key);
        return tenant instanceof Promise ? fromStore('Postgres', tenant) : tenant;
      },
      config,
      log,
      streams,
      metrics,
      changes: createRegistryChanges(db, catalog, { readThrough, publish: publishChange }),
      list: createListing({
        live,
        readLedger: (tenant, options) => listPredictions(db, tenant, options),
        readOutputs: (tenant, ids) => readOutputs(db, tenant, ids),
      }),
      actions: createActions({
        live,
        queues,
        finder,
        loads,
        catalog,
        limits,
        findInLedger: async (tenant, id) => (await findPrediction(db, tenant, id)) ?? null,
        endInLedger: (row, outcome) => markTerminal(db, row, outcome),
        recordEnd: async (row) => {
          const { deliveries } = await recordTerminal(db, [row]);
          await timers.scheduleDeliveries(deliveries);
        },
        reopenInLedger: (end) => markRetried(db, end),
        checkClock,
        redisRefusal: () => queueRedis.probe.refusal,
        log,
      }),
      parsedRequests,
      catalog,
      finder,
      entities: createEntityLookup(readThrough, db),
      knownAnswer: createKnownAnswer({ catalog, parsedRequests, cache }),
      predict: createPredict({
        catalog,
        cache,
        parsedRequests,
        live,
        submitter: createSubmitter({
          live,
          queues,
          log,
          redisReady,
          onCounts: (model, counts) => loads.observe(model, counts, sharedNow()),
        }),
        completions,
        idempotency: createIdempotency(redis, keys, (asked, sinceMs) => findKeyed(db, asked, sinceMs), log),
        loads,
        estimates,
        finder,
        redisRefusal: () => queueRedis.probe.refusal,
        cacheWritable,
        promise: (row) => promises.add(row),
        checkClock,
        checkWebhook,
        limits,
      }),
      setServed: async (tenant, model, served) => {
        const changed = await fromStore('Postgres', setServed(db, { tenant, model, served }));
        // Committed: a process that is not told looks again within the second.
        if (changed > 0) await announceRegistryChange({ readThrough, tenant, publish: publishChange }).catch(() => {});
        return changed > 0;
      },
      checks: {
        ready: () =>
          checkAll({
            process: async () => {
              if (draining.leaving) throw new Error('stopping');
            },
            redis: () => queueRedis.probe.prove(),
            cache: () => cacheStore.probe.prove(),
            postgres: () => checkWritable(db),
            clock: async () => {
              const fault = clock.fault();
              if (fault !== undefined) throw new Error(fault);
            },
            models: async () => {
              const { servable, problems } = await catalog.condition('default');
              if (servable === 0) throw new Error(['no model is ready', ...problems.slice(0, 3)].join('. '));
            },
          }),
        degraded: async () => (await catalog.condition('default')).problems,
      },
    });
    closers.push('http', () => app.close());
    closers.push('callers', () =>
      draining.run({
        server: app.server,
        waiting: () => completions.waiting,
        release: async () => {
          await streams.close();
          await completions.close();
        },
        shutdownMs: config.shutdownMs,
      }),
    );
    const url = await app.listen({ host: config.host, port: config.port });
    return { app, url, mustStop, close: (deadlineMs) => closers.close(deadlineMs) };
  } catch (error) {
    await closers.close(5_000);
    throw error;
  }
}

function refuseWrongClock(clock: Clock): void {
  const fault = clock.fault();
  if (fault !== undefined) throw new ApiError('clock_wrong', `${fault} Nothing was accepted.`, { retryAfterS: 5 });
}

/** The pool's time-outs are those of requests; a server that is merely slow must not keep this process from starting. */
async function checkPostgresPatiently(db: Parameters<typeof checkPostgres>[0], databaseUrl: string): Promise<void> {
  const end = performance.now() + START_TIMEOUT_MS;
  for (;;) {
    try {
      return await checkPostgres(db, databaseUrl);
    } catch (error) {
      if (performance.now() > end || !/time-?out/i.test((error as Error).message)) throw error;
    }
  }
}
