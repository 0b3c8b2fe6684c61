/** A worker: the roles it was given, each with its own connections, opened here and closed in reverse. */
import { randomUUID } from 'node:crypto';
import { type Closers, createClosers } from '@millrace/shared/closers';
import type { Config } from '@millrace/shared/config';
import { createPool, type Pool } from '@millrace/shared/db';
import { SHARDS, shardOf } from '@millrace/shared/ids';
import { type Keys, keysFor } from '@millrace/shared/keys';
import { markTerminal, openPromises, recordTerminal } from '@millrace/shared/ledger';
import { LiveStore } from '@millrace/shared/live/store';
import { checkPostgres } from '@millrace/shared/migrate';
import { dropOldPartitions, ensurePartitions } from '@millrace/shared/partitions';
import { createQueues } from '@millrace/shared/queues';
import { createReadThrough } from '@millrace/shared/read-through';
import { type Connection, checkQueueRedis, connectRedis, waitForRedis } from '@millrace/shared/redis';
import { createResultCache } from '@millrace/shared/result-cache';
import { createWebhookTimers } from '@millrace/shared/webhooks/timers';
import type { Logger } from 'pino';
import { createEnginePool, poolOptions } from './engine/engine-pool.ts';
import { startHealth, type WorkerHealth } from './health.ts';
import { compute } from './inference/compute.ts';
import { type Consumer, startConsumer } from './inference/consumer.ts';
import { Dispatcher } from './inference/dispatcher.ts';
import { startHeartbeat } from './inference/heartbeat.ts';
import { createWorkerMetrics, type WorkerMetrics } from './metrics.ts';
import { type ModelVersionHandle, startModels } from './models/start-models.ts';
import { startReconciler } from './recorder/reconciler.ts';
import { startRecorder } from './recorder/recorder.ts';
import { createRegistryPort } from './registry-adapter.ts';
import { startWebhooks } from './webhooks/webhooks.ts';

const START_TIMEOUT_MS = 10_000;
const PARTITIONS_EVERY_MS = 3_600_000;
const PARTITIONS_AHEAD_DAYS = 7;

export interface RunningWorker {
  id: string;
  healthUrl: string;
  close(deadlineMs: number): Promise<string[]>;
}

/** What every role of a worker shares. */
interface Base {
  config: Config;
  log: Logger;
  keys: Keys;
  id: string;
  redis: Connection;
  db: Pool;
  live: LiveStore;
  metrics: WorkerMetrics;
  health: WorkerHealth;
  closers: Closers;
  connect(kind: 'producer' | 'blocking', name: string): Connection;
}

/** Resolves when all roles run. When one cannot start, what was opened is closed, and the error says why. */
export async function startWorker(config: Config, log: Logger): Promise<RunningWorker> {
  const closers = createClosers((name, error) => log.warn({ err: error, part: name }, 'could not be closed'));
  const id = randomUUID();
  try {
    const connect = (kind: 'producer' | 'blocking', name: string) =>
      connectRedis(config.redisUrl, kind, {
        cluster: config.redisCluster,
        name: `millrace-worker-${name}`,
        onError: (error) => log.debug({ err: error, connection: name }, 'Redis connection error'),
      });
    const redis = connect('blocking', 'main');
    closers.push('redis', () => redis.disconnect());
    await waitForRedis(redis, 'The queue Redis (REDIS_URL)', START_TIMEOUT_MS);
    await checkQueueRedis(redis);
    const db = createPool({
      databaseUrl: config.databaseUrl,
      max: 8,
      statementTimeoutMs: 10_000,
      applicationName: 'millrace-worker',
      onError: (error) => log.debug({ err: error }, 'Postgres connection error'),
    });
    closers.push('postgres', () => db.end());
    await checkPostgres(db, config.databaseUrl);
    const keys = keysFor(config.keyPrefix);
    const metrics = createWorkerMetrics();
    const health = await startHealth(config, metrics, { redis, db });
    closers.push('health', () => health.close());
    const base: Base = {
      config,
      log,
      keys,
      id,
      redis,
      db,
      live: new LiveStore(redis, keys),
      metrics,
      health,
      closers,
      connect,
    };
    if (config.workerRoles.includes('recorder')) await startRecorderRole(base);
    if (config.workerRoles.includes('webhooks')) startWebhooksRole(base);
    if (config.workerRoles.includes('inference')) await startInferenceRole(base);
    health.started();
    return { id, healthUrl: health.url, close: (deadlineMs) => closers.close(deadlineMs) };
  } catch (error) {
    await closers.close(5_000);
    throw error;
  }
}

async function startInferenceRole(base: Base): Promise<void> {
  const { config, log, keys, id, redis, db, live, metrics, health, closers, connect } = base;
  const cacheRedis = connectRedis(config.cacheRedisUrl, 'producer', {
    name: 'millrace-worker-cache',
    cluster: config.redisCluster && config.cacheRedisUrl === config.redisUrl,
    onError: () => {},
  });
  closers.push('cache', () => cacheRedis.disconnect());
  const cache = createResultCache(cacheRedis, keys, (error) => log.debug({ err: error }, 'a result was not cached'));
  const readThrough = createReadThrough({ redis: cacheRedis, keys, ttlMs: config.queryTtlMs });
  closers.push('read-through', () => readThrough.close());
  const pool = createEnginePool(poolOptions(config, log));
  closers.push('engines', () => pool.close(1_000));
  await pool.warm();

  const dispatcher = new Dispatcher<string>(() => pool.size + 1);
  const queues = createQueues(redis, keys, () => {});
  closers.push('queues', () => queues.close());
  const registry = createRegistryPort({ pool: db, redis, keys, readThrough });
  const models = await startModels({
    config,
    registry,
    pool,
    log,
    hasWork: async ({ model }) => {
      const counts = await live.counts(model);
      return Object.entries(counts.entered).some(
        ([priority, entered]) => entered > (counts.left[Number(priority)] ?? 0),
      );
    },
  });

  const byName = new Map<string, ModelVersionHandle>();
  const means = { live, cache, pool, workerId: id, maxAttempts: config.maxAttempts, metrics, log };
  const consumers = new Map<string, Consumer>();

  async function runJob(model: string, version: string, ids: string[]): Promise<void> {
    const handle = byName.get(`${model}\n${version}`);
    if (!handle) throw new Error(`version ${version} of '${model}' is not ready in this worker`);
    const target = { ...handle, shard: shardOf(model) };
    await dispatcher.add(handle.version.digest, ids, Math.max(handle.loaded.maxBatch, 1), (some) =>
      compute(means, target, some),
    );
  }

  function settle(): void {
    byName.clear();
    for (const handle of models.ready()) byName.set(`${handle.version.model}\n${handle.version.version}`, handle);
    for (const model of new Set(models.ready().map(({ version }) => version.model))) {
      if (consumers.has(model)) continue;
      consumers.set(
        model,
        startConsumer(model, {
          connect: () => connect('blocking', `jobs-${model}`),
          keys,
          workerId: id,
          concurrency: config.workerConcurrency,
          lockMs: config.lockMs,
          compute: runJob,
          onLocksLost: (count) => metrics.lockLost(count),
          log,
        }),
      );
    }
  }
  settle();
  const stopListening = models.onChange(settle);

  // Told at once of promotions and retirements made elsewhere; the next scan would find them as well.
  const listener = connect('blocking', 'registry');
  closers.push('registry listener', () => listener.disconnect());
  listener.on('message', () => void models.refresh());
  await listener.subscribe(keys.registryChannel());

  const heartbeat = startHeartbeat({
    redis,
    keys,
    workerId: id,
    intervalMs: config.heartbeatMs,
    models: () => [...consumers.keys()],
    log,
  });
  closers.push('heartbeat', () => heartbeat.close());
  closers.push('models', async () => {
    stopListening();
    await models.close();
  });
  closers.push('consumers', async () => {
    await Promise.all([...consumers.values()].map((consumer) => consumer.close()));
  });
  metrics.gauge('millrace_worker_engines', 'Engines of this worker.', () => pool.size);
  metrics.gauge('millrace_worker_held', 'Predictions held by this worker and not under way.', () => dispatcher.waiting);
  health.check('inference', () => (models.ready().length > 0 ? 'ok' : 'no version of any model is ready here'));
  health.liveness(async () => takesWork([...consumers.values()], live));
}

/** How long work may wait for a model while this worker neither takes nor ends any of it. */
const IDLE_TOO_LONG_MS = 60_000;

/** A worker that no longer takes work though work waits is to be restarted. */
async function takesWork(consumers: readonly Consumer[], live: LiveStore): Promise<'ok' | string> {
  for (const { model, lastMoveAt, active } of consumers) {
    if (active > 0 || Date.now() - lastMoveAt < IDLE_TOO_LONG_MS) continue;
    const { entered, left } = await live.counts(model);
    const waits = Object.keys(entered).some(
      (priority) => (entered[Number(priority)] ?? 0) > (left[Number(priority)] ?? 0),
    );
    if (waits)
      return `work waits for '${model}' and none was taken for ${Math.round((Date.now() - lastMoveAt) / 1000)} s`;
  }
  return 'ok';
}

async function startRecorderRole(base: Base): Promise<void> {
  const { config, log, keys, id, redis, db, live, metrics, closers, connect } = base;
  await ensurePartitions(db, Date.now(), PARTITIONS_AHEAD_DAYS);
  const keepPartitions = async () => {
    await ensurePartitions(db, Date.now(), PARTITIONS_AHEAD_DAYS);
    await dropOldPartitions(db, Date.now(), config.retentionDays);
  };
  const timer = setInterval(
    () => void keepPartitions().catch((error) => log.warn({ err: error }, 'partitions cannot be kept')),
    PARTITIONS_EVERY_MS,
  );
  closers.push('partitions', () => clearInterval(timer));
  const timersRedis = connect('producer', 'webhook-timers');
  closers.push('webhook timers redis', () => timersRedis.disconnect());
  const timers = createWebhookTimers({ connection: timersRedis, keyPrefix: config.keyPrefix });
  closers.push('webhook timers', () => timers.close());
  const shards = Array.from({ length: SHARDS }, (_, shard) => shard);
  // One read covers all streams; in a cluster each lies on a node of its own, and needs a reader of its own.
  const groups = config.redisCluster ? shards.map((shard) => [shard]) : [shards];
  for (const group of groups) {
    const recorder = startRecorder({
      reader: connect('blocking', 'recorder'),
      redis,
      keys,
      live,
      shards: group,
      consumer: id,
      liveTtlMs: config.liveTtlMs,
      record: (rows) => recordTerminal(db, rows),
      onDeliveries: (deliveries) => timers.scheduleDeliveries(deliveries),
      onRecorded: (rows) => metrics.recorded(rows),
      log,
    });
    closers.push('recorder', () => recorder.close());
  }
  const queues = createQueues(redis, keys, () => {});
  closers.push('reconciler queues', () => queues.close());
  const reconciler = startReconciler({
    redis,
    keys,
    live,
    queues,
    workerId: id,
    intervalMs: config.reconcileMs,
    openPromises: (options) => openPromises(db, options),
    expire: (row, error, nowMs) => markTerminal(db, row, { status: 'expired', result: error, completedAt: nowMs }),
    onOutcome: (outcome) => metrics.reconciled(outcome),
    log,
  });
  closers.push('reconciler', () => reconciler.close());
}

function startWebhooksRole({ config, log, db, closers, connect }: Base): void {
  const webhooks = startWebhooks({ config, db, redis: (kind) => connect(kind, 'webhooks'), log });
  closers.push('webhooks', () => webhooks.close());
}
