/** The role `inference`: models, engines, and a consumer for each model that can be run here. */
import { CacheDamage } from '@millrace/shared/cache/damage';
import { cacheInQueueMemory, holdsCache, queueMemoryAdvice } from '@millrace/shared/cache/queue-memory';
import { createReadThrough } from '@millrace/shared/cache/read-through';
import { createResultCache } from '@millrace/shared/cache/result-cache';
import type { LiveStore } from '@millrace/shared/live/store';
import { sharedNow } from '@millrace/shared/postgres/clock';
import { SHARDS, shardOf } from '@millrace/shared/predictions/ids';
import { BULL_PRIORITY } from '@millrace/shared/predictions/prediction';
import { parseLift } from '@millrace/shared/queue/job';
import { OutputSizes } from '@millrace/shared/queue/output-sizes';
import { createQueues } from '@millrace/shared/queue/queues';
import { openRedisStore } from '@millrace/shared/redis/redis-store';
import { mismatchOf } from '@millrace/shared/registry/registry-mismatch';
import { expectedOutputBytes } from '@millrace/shared/tensors/expected-output';
import { createEnginePool, poolOptions } from '../engine/engine-pool.ts';
import { startModelManager } from '../models/model-manager.ts';
import { RegistryClient } from '../models/registry-client.ts';
import type { RunnableVersion } from '../models/runnable-versions.ts';
import type { WorkerContext } from '../operations/worker-context.ts';
import { compute } from './compute.ts';
import { type Ahead, type Consumer, type Held, startConsumer } from './consumer.ts';
import { Consumers } from './consumer-pool.ts';
import { Dispatcher, HandedBack } from './dispatcher.ts';
import { startHeartbeat } from './heartbeat.ts';
import { isItemOf, itemsOf } from './held-item.ts';
import { HeldResults } from './held-results.ts';
import { Lifts } from './lifts.ts';
import { Pace } from './pace.ts';

/** Most bytes of results that wait for Redis, and most bytes of the outputs of one run. Both bound the memory of a worker. */
const HELD_BYTES = 128 * 1_048_576;
const RUN_BYTES = 32 * 1_048_576;

export async function startInferenceRole(base: WorkerContext): Promise<void> {
  const { config, log, keys, id, redis, db, live, metrics, health, closers, connect, clock } = base;
  const cacheStore = openRedisStore({
    config,
    setting: 'CACHE_REDIS_URL',
    process: 'millrace-worker',
    log,
    consequence: 'The cache Redis takes no writes: results are not cached.',
  });
  closers.push('cache probe', () => cacheStore.close());
  health.check('cache', () => cacheStore.probe.prove().then(() => 'ok'));
  metrics.gauge('millrace_cache_redis_writable', 'Whether the cache Redis took the last write: 1 or 0.', () =>
    Number(cacheStore.probe.proven),
  );
  // The results of a batch are stored one by one, and go out in one write.
  const cacheRedis = cacheStore.connect('producer', { name: 'millrace-worker-cache', autoPipeline: true });
  closers.push('cache', () => cacheRedis.disconnect());
  const largeCacheRedis = cacheStore.connect('producer', { name: 'millrace-worker-cache-large' });
  closers.push('cache for large values', () => largeCacheRedis.disconnect());
  const damage = new CacheDamage(log);
  metrics.counterBy(
    { name: 'millrace_cache_damaged_total', help: 'Damaged values found on the cache Redis.', label: 'kind' },
    () => damage.counts,
  );
  const results = createResultCache(cacheRedis, keys, {
    onError: (error) => log.debug({ err: error }, 'a result was not cached'),
    onDamaged: () => damage.found('result'),
    large: largeCacheRedis,
  });
  const { maxMemoryShare } = config;
  const isShared = await holdsCache(redis, cacheRedis);
  for (const sentence of await queueMemoryAdvice(redis, { holdsCache: isShared, maxMemoryShare })) log.warn(sentence);
  const cache = isShared ? cacheInQueueMemory(results, redis, maxMemoryShare) : results;
  const readThrough = createReadThrough({
    redis: cacheRedis,
    keys,
    ttlMs: config.queryTtlMs,
    onDamaged: () => damage.found('query'),
  });
  closers.push('read-through', () => readThrough.close());
  const pool = createEnginePool(poolOptions(config, log));
  closers.push('engines', () => pool.close(1_000));
  await pool.warm();

  const dispatcher = new Dispatcher<string>({
    slots: () => pool.size + 1,
    priorities: Object.values(BULL_PRIORITY).sort((a, b) => a - b),
  });
  const lifts = new Lifts();
  const queues = createQueues(redis, keys, () => {});
  closers.push('queues', () => queues.close());
  const registry = new RegistryClient({ pool: db, redis, keys, readThrough });
  const models = await startModelManager({
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

  const byName = new Map<string, RunnableVersion>();
  const paces = new Map<string, Pace>();
  /** The largest micro-batch of the versions of each model. */
  const maxBatches = new Map<string, number>();
  const paceOf = (model: string): Pace => {
    const pace = paces.get(model) ?? new Pace();
    paces.set(model, pace);
    return pace;
  };
  const sizes = new OutputSizes({ redis, keys, workerId: id });
  closers.push('output sizes', () => sizes.close());
  const held = new HeldResults(HELD_BYTES, () => takeOrPause());
  const deps = { live, cache, sizes, held, pool, workerId: id, maxAttempts: config.maxAttempts, metrics, log };
  const listener = connect('blocking', 'registry');
  closers.push('registry listener', () => listener.disconnect());
  const consumers = new Consumers({
    redis,
    keys,
    log,
    listen: () => {
      const workSignals = Array.from({ length: SHARDS }, (_, shard) => keys.workSignal(shard));
      listener
        .subscribe(...workSignals)
        .catch((error: unknown) => log.warn({ err: error }, 'the work signals cannot be read'));
    },
    open: (model) =>
      startConsumer(model, {
        connect: () => connect('blocking', `jobs-${model}`),
        keys,
        workerId: id,
        concurrency: config.workerConcurrency,
        lockMs: config.lockMs,
        waitingRows: (name, priority) => dispatcher.waitingRows(paceOf(name), priority),
        holdRows: (name) => paceOf(name).holdRows(maxBatches.get(name) ?? 1),
        compute: runHeld,
        onLocksLost: (count) => metrics.lockLost(count),
        log,
      }),
  });

  async function runHeld({ job, model, version, ids, rows, priority, addedAt, ahead }: Held): Promise<void> {
    // A job can arrive before the consumers pause, or be held during the pause.
    const refuseWrongClock = () => {
      const fault = clock.fault();
      if (fault !== undefined) throw new HandedBack(fault);
    };
    refuseWrongClock();
    const handle = byName.get(`${model}\n${version}`);
    if (!handle) throw new Error(`version ${version} of '${model}' is not ready in this worker`);
    const shard = shardOf(model);
    const items = itemsOf(ids, job);
    const done = dispatcher.add({
      // The key has the name too: models with the same files have predictions in different shards.
      key: `${model}\n${version}\n${handle.version.digest}`,
      items,
      rows,
      priority,
      addedAt,
      maxBatch: Math.max(1, Math.min(handle.loaded.maxBatch, Math.floor(RUN_BYTES / Math.max(1, sizes.of(model))))),
      pace: paceOf(model),
      run: async (some, urgency) => {
        refuseWrongClock();
        // The rows of this job are begun ahead only when the run has exactly the items of this job.
        const own = some.length === items.length && some[0] === items[0];
        return compute(deps, { ...handle, shard, priority: urgency }, some, own ? rowsOf(ahead) : []);
      },
    });
    // The priority of a prediction can be raised while its job moves from the queue to this worker.
    for (const lift of lifts.among(ids))
      if (lift.priority < priority) dispatcher.raise(isItemOf(lift.id), lift.priority);
    await done;
  }

  function settle(): void {
    byName.clear();
    maxBatches.clear();
    for (const handle of models.runnable()) {
      const { model, version, signature, handlerDigest } = handle.version;
      sizes.expect(model, expectedOutputBytes(signature.outputs, handlerDigest !== null));
      byName.set(`${model}\n${version}`, handle);
      maxBatches.set(model, Math.max(maxBatches.get(model) ?? 1, handle.loaded.maxBatch));
    }
    for (const model of paces.keys()) if (!maxBatches.has(model)) paces.delete(model);
    consumers.serve(new Set(models.runnable().map(({ version }) => version.model)));
  }
  settle();
  function takeOrPause(): void {
    if (clock.fault() === undefined && !held.full) consumers.resume();
    else consumers.pause();
  }
  if (clock.fault() !== undefined) consumers.pause();
  clock.onChange(takeOrPause);
  const stopListening = models.onChange(settle);

  // A message reports promotions and retirements by other processes at once. The next scan would find them as well.
  const registryChannel = keys.registryChannel();
  const liftChannel = keys.liftChannel();
  listener.on('message', (channel, message) => {
    if (channel === registryChannel) void models.readRegistry();
    else if (channel === liftChannel) lift(message);
    else consumers.signalWork(message);
  });
  await listener.subscribe(registryChannel, liftChannel);

  function lift(message: string): void {
    const one = parseLift(message);
    if (one === undefined || !maxBatches.has(one.model)) return;
    if (!dispatcher.raise(isItemOf(one.id), one.priority)) lifts.add(one, performance.now());
  }

  const heartbeat = startHeartbeat({
    redis,
    keys,
    workerId: id,
    intervalMs: config.heartbeatMs,
    models: () => consumers.open.map(({ model }) => model),
    holds: (model, job, token) => consumers.holds(model, job, token),
    log,
  });
  closers.push('heartbeat', () => heartbeat.close());
  closers.push('models', async () => {
    stopListening();
    await models.close();
  });
  closers.push('consumers', async () => {
    // The order matters: this worker must not take a job again that it has handed back.
    const closing = consumers.close();
    dispatcher.handBack();
    await closing;
  });
  metrics.gauge('millrace_worker_engines', 'Engines of this worker.', () => pool.size);
  metrics.gauge('millrace_worker_results_held_bytes', 'Bytes of results that wait to be written.', () => held.bytes);
  metrics.gauge('millrace_worker_consumers', 'Models whose queue this worker reads.', () => consumers.open.length);
  metrics.gauge(
    'millrace_worker_held',
    'Predictions that this worker holds and has not started.',
    () => dispatcher.waiting,
  );
  metrics.gauge(
    'millrace_worker_models_mismatched',
    'Versions in service whose files in the models folder differ from the registered files.',
    () => models.mismatched().length,
  );
  const mismatches = () => models.mismatched().flatMap((version) => mismatchOf(version) ?? []);
  health.check('inference', () =>
    models.runnable().length > 0
      ? 'ok'
      : ['no version of any model is ready here', ...mismatches().slice(0, 3)].join('. '),
  );
  health.degraded(mismatches);
  // A restart does not repair a clock.
  health.liveness(async () => (clock.fault() === undefined ? takesWork(consumers.open, live) : 'ok'));
}

/** Rows of older jobs are not begun ahead: clients can have canceled their predictions meanwhile. */
const FRESH_MS = 50;

/** Rows that can be begun ahead. Empty for a job that has waited, and for a job whose time is in the future. */
const rowsOf = (ahead: Ahead | undefined): readonly string[] =>
  ahead !== undefined && Math.abs(sharedNow() - ahead.addedAt) < FRESH_MS ? ahead.rows : [];

/** Work of a model can wait for this long while this worker neither takes nor ends a job of the model. */
const IDLE_TOO_LONG_MS = 60_000;

/** Returns the reason for a restart when work waits and this worker takes none. */
async function takesWork(consumers: readonly Consumer[], live: LiveStore): Promise<'ok' | string> {
  for (const { model, lastMoveAt, active } of consumers) {
    if (active > 0 || performance.now() - lastMoveAt < IDLE_TOO_LONG_MS) continue;
    const { entered, left } = await live.counts(model);
    const waits = Object.keys(entered).some(
      (priority) => (entered[Number(priority)] ?? 0) > (left[Number(priority)] ?? 0),
    );
    if (waits)
      return `work waits for '${model}' and none was taken for ${Math.round((performance.now() - lastMoveAt) / 1000)} s`;
  }
  return 'ok';
}
