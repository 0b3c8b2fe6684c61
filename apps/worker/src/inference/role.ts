/** The role `inference`: models, engines, and a consumer for each model that can be run here. */
import { CacheDamage } from '@millrace/shared/cache/damage';
import { cacheInQueueMemory, holdsCache, queueMemoryAdvice } from '@millrace/shared/cache/queue-memory';
import { createReadThrough, type ReadThrough } from '@millrace/shared/cache/read-through';
import { createResultCache, type ResultCache } from '@millrace/shared/cache/result-cache';
import type { LiveStore } from '@millrace/shared/live/store';
import { CPU } from '@millrace/shared/model-files/engine-settings';
import { sharedNow } from '@millrace/shared/postgres/clock';
import { SHARDS, shardOf } from '@millrace/shared/predictions/ids';
import { BULL_PRIORITY, baseOf } from '@millrace/shared/predictions/prediction';
import { machineName } from '@millrace/shared/predictions/slots';
import type { Row } from '@millrace/shared/predictions/task';
import { parseLift, rowAhead } from '@millrace/shared/queue/job';
import { OutputSizes } from '@millrace/shared/queue/output-sizes';
import { createQueues } from '@millrace/shared/queue/queues';
import type { Connection } from '@millrace/shared/redis/connection';
import { openRedisStore } from '@millrace/shared/redis/redis-store';
import { expectedOutputBytes } from '@millrace/shared/tensors/expected-output';
import { Devices } from '../engine/devices.ts';
import { createEnginePool, type EnginePool, poolOptions } from '../engine/engine-pool.ts';
import type { SlotState } from '../engine/engine-slot.ts';
import type { LoadedVersion } from '../engine/protocol/loaded-version.ts';
import { type ModelManager, startModelManager } from '../models/model-manager.ts';
import { RegistryClient } from '../models/registry-client.ts';
import type { RunnableVersion } from '../models/runnable-versions.ts';
import type { LabeledValue } from '../operations/metrics.ts';
import type { Presence } from '../operations/presence.ts';
import type { WorkerContext } from '../operations/worker-context.ts';
import { CacheWrites } from './cache-writes.ts';
import { type ComputeDeps, compute } from './compute.ts';
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
/** Most bytes of results on their way to the cache Redis: as many as the largest run. */
const CACHE_WRITE_BYTES = RUN_BYTES;

export async function startInferenceRole(base: WorkerContext): Promise<void> {
  const { config, log, closers } = base;
  const caches = await openCaches(base);
  const options = poolOptions(config, log);
  const pool = createEnginePool({ ...options, observer: base.metrics.engines });
  const devices = new Devices({ names: config.engineDevices, log });
  base.metrics.engines.watch(pool, options.memoryLimitBytes);
  closers.push('engines', () => pool.close(1_000));
  await pool.warm();
  const models = await openModels(base, { pool, devices, readThrough: caches.readThrough });
  const role = new InferenceRole(base, { cache: caches.results, cacheWrites: caches.writes, pool, models });
  await role.start();
  addClosers(base, { role, models });
  addMetrics(base, { role, models });
  addHealthChecks(base, { role, models });
  describeTo(base.presence, { role, models, pool, devices });
}

interface Caches {
  results: ResultCache;
  writes: CacheWrites;
  readThrough: ReadThrough;
}

async function openCaches({ config, log, keys, redis, metrics, health, closers }: WorkerContext): Promise<Caches> {
  const cacheStore = openRedisStore({
    config,
    setting: 'CACHE_REDIS_URL',
    process: 'millrace-worker',
    log,
    metrics: metrics.stores,
    consequence: 'The cache Redis takes no writes: results are not cached.',
  });
  closers.push('cache probe', () => cacheStore.close());
  health.check('cache', () => cacheStore.probe.prove().then(() => 'ok'));
  metrics.gauge('millrace_cache_redis_writable', 'Whether the cache Redis took the last write: 1 or 0.', () =>
    Number(cacheStore.probe.proven),
  );
  // The results of a batch are stored one by one, and go out in one write.
  const timeoutMs = config.storeTimeoutMs;
  const cacheRedis = cacheStore.connect('producer', { timeoutMs, name: 'millrace-worker-cache', autoPipeline: true });
  closers.push('cache', () => cacheRedis.disconnect());
  const largeCacheRedis = cacheStore.connect('producer', { timeoutMs, name: 'millrace-worker-cache-large' });
  closers.push('cache for large values', () => largeCacheRedis.disconnect());
  const writes = new CacheWrites({
    limitBytes: CACHE_WRITE_BYTES,
    isWritable: () => cacheStore.probe.proven,
    onSkipped: (results) => metrics.stores.skipped('cache', 'put', results),
  });
  closers.push('cache writes', () => writes.close());
  const damage = new CacheDamage(log);
  metrics.counterBy(
    { name: 'millrace_cache_damaged_total', help: 'Damaged values found on the cache Redis.', label: 'kind' },
    () => damage.counts,
  );
  const results = createResultCache(cacheRedis, keys, {
    onError(error) {
      metrics.stores.failed('cache', 'put', error);
      log.debug({ err: error }, 'a result was not cached');
    },
    onDamaged: () => damage.found('result'),
    onBytes: (direction, bytes) => metrics.stores.cacheBytes(direction, bytes),
    large: largeCacheRedis,
  });
  const { maxMemoryShare } = config;
  const isShared = await holdsCache(redis, cacheRedis);
  for (const sentence of await queueMemoryAdvice(redis, { holdsCache: isShared, maxMemoryShare })) log.warn(sentence);
  const readThrough = createReadThrough({
    redis: cacheRedis,
    keys,
    ttlMs: config.queryTtlMs,
    onDamaged: () => damage.found('query'),
  });
  closers.push('read-through', () => readThrough.close());
  return { results: isShared ? cacheInQueueMemory(results, redis, maxMemoryShare) : results, writes, readThrough };
}

function openModels(
  { config, log, keys, redis, db, live, closers }: WorkerContext,
  { pool, devices, readThrough }: { pool: EnginePool; devices: Devices; readThrough: ReadThrough },
): Promise<ModelManager> {
  const queues = createQueues(redis, keys, () => {});
  closers.push('queues', () => queues.close());
  return startModelManager({
    config,
    registry: new RegistryClient({ pool: db, redis, keys, readThrough }),
    pool,
    devices,
    log,
    hasWork: ({ model }) => hasWork(live, model),
  });
}

/** Whether predictions of the model have entered its queue and have not left. */
async function hasWork(live: LiveStore, model: string): Promise<boolean> {
  const { entered, left } = await live.counts(model);
  return Object.entries(entered).some(([priority, count]) => count > (left[Number(priority)] ?? 0));
}

interface InferenceDeps {
  cache: ResultCache;
  cacheWrites: CacheWrites;
  pool: EnginePool;
  models: ModelManager;
}

/** The path of a job in this worker: consumer, dispatcher, engines, result. */
class InferenceRole {
  readonly #base: WorkerContext;
  readonly #models: ModelManager;
  readonly #dispatcher: Dispatcher<string>;
  readonly #lifts = new Lifts();
  readonly #sizes: OutputSizes;
  readonly #compute: ComputeDeps;
  readonly #listener: Connection;
  readonly #byName = new Map<string, RunnableVersion>();
  readonly #paces = new Map<string, Pace>();
  /** The largest micro-batch of the versions of each model. */
  readonly #maxBatches = new Map<string, number>();
  #stopListening = () => {};
  /** The rows that this worker has computed. */
  rows = 0;
  readonly held: HeldResults;
  readonly consumers: Consumers;

  constructor(base: WorkerContext, { cache, cacheWrites, pool, models }: InferenceDeps) {
    const { config, log, keys, id, redis, live, metrics, tracing, closers, connect } = base;
    this.#base = base;
    this.#models = models;
    this.#dispatcher = new Dispatcher<string>({
      slots: () => pool.size + 1,
      priorities: Object.values(BULL_PRIORITY).sort((a, b) => a - b),
    });
    const sizes = new OutputSizes({ redis, keys, workerId: id });
    closers.push('output sizes', () => sizes.close());
    this.#sizes = sizes;
    const held = new HeldResults(HELD_BYTES, () => this.#takeOrPause());
    this.held = held;
    const kept = { base: baseOf(config.publicUrl), retentionMs: config.retentionDays * 86_400_000 };
    this.#compute = {
      live,
      cache,
      cacheWrites,
      sizes,
      held,
      pool,
      ...kept,
      workerId: id,
      maxAttempts: config.maxAttempts,
      metrics,
      tracing,
      log,
    };
    const listener = connect('blocking', 'registry');
    closers.push('registry listener', () => listener.disconnect());
    this.#listener = listener;
    this.consumers = new Consumers({
      redis,
      keys,
      log,
      listen: () => this.#listenForWork(),
      open: (model) => this.#openConsumer(model),
    });
  }

  /** Predictions that this worker holds and has not started. */
  get waiting(): number {
    return this.#dispatcher.waiting;
  }

  /** Seconds since the oldest held prediction that has not started entered the queue, by model and priority. */
  oldestHeld(): LabeledValue[] {
    const nowMs = sharedNow();
    const seconds = new Map<string, number>();
    for (const { key, priority, addedAt } of this.#dispatcher.oldest()) {
      const name = `${key.split('\n')[0]}\n${nameOfPriority(priority)}`;
      seconds.set(name, Math.max(seconds.get(name) ?? 0, (nowMs - addedAt) / 1_000));
    }
    return [...seconds].map(([name, value]) => {
      const [model = '', priority = ''] = name.split('\n');
      return { labels: { model, priority }, value };
    });
  }

  /** Opens the consumers. Resolves when the messages about the registry and about raised priorities arrive. */
  async start(): Promise<void> {
    const { clock, keys } = this.#base;
    this.#serveModels();
    if (clock.fault() !== undefined) this.consumers.pause();
    clock.onChange(() => this.#takeOrPause());
    this.#stopListening = this.#models.onChange(() => this.#serveModels());
    // A message reports promotions and retirements by other processes at once. The next scan would find them as well.
    const registryChannel = keys.registryChannel();
    const liftChannel = keys.liftChannel();
    this.#listener.on('message', (channel, message) => {
      if (channel === registryChannel) void this.#models.readRegistry();
      else if (channel === liftChannel) this.#lift(message);
      else this.consumers.signalWork(message);
    });
    const machine = machineName();
    const channels = [registryChannel, liftChannel, keys.bytesChannel()];
    // One command: a process never seems to be of an older version, or on another machine.
    await this.#listener.subscribe(...channels, ...(machine === undefined ? [] : [keys.machineChannel(machine)]));
  }

  /** Ignores changes of the models from now on. */
  stopServing(): void {
    this.#stopListening();
  }

  async close(): Promise<void> {
    // The order matters: this worker must not take a job again that it has handed back.
    const closing = this.consumers.close();
    this.#dispatcher.handBack();
    await closing;
  }

  #listenForWork(): void {
    const { keys, log } = this.#base;
    const workSignals = Array.from({ length: SHARDS }, (_, shard) => keys.workSignal(shard));
    this.#listener
      .subscribe(...workSignals)
      .catch((error: unknown) => log.warn({ err: error }, 'the work signals cannot be read'));
  }

  #openConsumer(model: string): Consumer {
    const { config, keys, id, log, metrics, connect } = this.#base;
    return startConsumer(model, {
      connect: () => connect('blocking', `jobs-${model}`),
      keys,
      workerId: id,
      concurrency: config.workerConcurrency,
      lockMs: config.lockMs,
      waitingRows: (name, priority) => this.#dispatcher.waitingRows(this.#paceOf(name), priority),
      holdRows: (name) => this.#paceOf(name).holdRows(this.#maxBatches.get(name) ?? 1),
      compute: (held) => this.#runHeld(held),
      onLocksLost: (count) => metrics.lockLost(count),
      log,
    });
  }

  /** Runs the predictions of a job together with the predictions of other jobs. Resolves when all of them have ended. */
  async #runHeld({ job, model, version, ids, rows, priority, addedAt, ahead }: Held): Promise<void> {
    this.#refuseWrongClock();
    const handle = this.#byName.get(`${model}\n${version}`);
    if (!handle) throw new Error(`version ${version} of '${model}' is not ready in this worker`);
    const shard = shardOf(model);
    const items = itemsOf(ids, job);
    const { loaded } = handle;
    const maxRows = Math.floor(RUN_BYTES / Math.max(1, this.#sizes.of(model)));
    const done = this.#dispatcher.add({
      // The key has the name too: models with the same files have predictions in different shards.
      key: `${model}\n${version}\n${handle.version.digest}`,
      items,
      rows,
      priority,
      addedAt,
      maxBatch: Math.max(1, Math.min(loaded.maxBatch, maxRows)),
      instances: loaded.engine?.instances,
      pace: this.#paceOf(model),
      run: async (some, urgency) => {
        this.#refuseWrongClock();
        // The rows of this job are begun ahead only when the run has exactly the items of this job.
        const own = some.length === items.length && some[0] === items[0];
        const target = { ...handle, shard, priority: urgency };
        const computed = await compute(this.#compute, target, some, own ? rowsOf(ahead) : []);
        this.rows += computed;
        return computed;
      },
    });
    // The priority of a prediction can be raised while its job moves from the queue to this worker.
    for (const lift of this.#lifts.among(ids))
      if (lift.priority < priority) this.#dispatcher.raise(isItemOf(lift.id), lift.priority);
    await done;
  }

  /** A job can arrive before the consumers pause, or be held during the pause. */
  #refuseWrongClock(): void {
    const fault = this.#base.clock.fault();
    if (fault !== undefined) throw new HandedBack(fault);
  }

  /** Opens consumers for the models that can be run now. */
  #serveModels(): void {
    this.#byName.clear();
    this.#maxBatches.clear();
    for (const handle of this.#models.runnable()) {
      const { model, version, signature, handlerDigest } = handle.version;
      this.#sizes.expect(model, expectedOutputBytes(signature.outputs, handlerDigest !== null));
      this.#byName.set(`${model}\n${version}`, handle);
      this.#maxBatches.set(model, Math.max(this.#maxBatches.get(model) ?? 1, handle.loaded.maxBatch));
    }
    for (const model of this.#paces.keys()) if (!this.#maxBatches.has(model)) this.#paces.delete(model);
    this.consumers.serve(new Set(this.#models.runnable().map(({ version }) => version.model)));
  }

  #takeOrPause(): void {
    if (this.#base.clock.fault() === undefined && !this.held.full) this.consumers.resume();
    else this.consumers.pause();
  }

  #lift(message: string): void {
    const lift = parseLift(message);
    if (lift === undefined || !this.#maxBatches.has(lift.model)) return;
    if (!this.#dispatcher.raise(isItemOf(lift.id), lift.priority)) this.#lifts.add(lift, performance.now());
  }

  #paceOf(model: string): Pace {
    const pace = this.#paces.get(model) ?? new Pace();
    this.#paces.set(model, pace);
    return pace;
  }
}

interface Started {
  role: InferenceRole;
  models: ModelManager;
}

/** Parts close in reverse order: the consumers close first. */
function addClosers({ config, log, keys, id, redis, closers }: WorkerContext, { role, models }: Started): void {
  const { consumers } = role;
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
    role.stopServing();
    await models.close();
  });
  closers.push('consumers', () => role.close());
}

const nameOfPriority = (number: number): string =>
  Object.entries(BULL_PRIORITY).find(([, own]) => own === number)?.[0] ?? String(number);

function addMetrics({ metrics }: WorkerContext, { role, models }: Started): void {
  const { consumers, held } = role;
  metrics.gaugeBy(
    {
      name: 'millrace_worker_held_oldest_seconds',
      help: 'Time since the oldest prediction that this worker holds and has not started entered the queue.',
      labels: ['model', 'priority'],
    },
    () => role.oldestHeld(),
  );
  metrics.gauge('millrace_worker_results_held_bytes', 'Bytes of results that wait to be written.', () => held.bytes);
  metrics.gauge('millrace_worker_consumers', 'Models whose queue this worker reads.', () => consumers.open.length);
  metrics.gauge('millrace_worker_held', 'Predictions that this worker holds and has not started.', () => role.waiting);
  metrics.gauge(
    'millrace_worker_models_mismatched',
    'Versions in service whose files in the models folder differ from the registered files.',
    () => models.mismatched().length,
  );
  metrics.gaugeBy(
    { name: 'millrace_model_serving', help: 'Versions that this worker serves.', labels: ['model', 'version'] },
    () => models.runnable().map(({ version: { model, version } }) => ({ labels: { model, version }, value: 1 })),
  );
  metrics.gaugeBy(
    {
      name: 'millrace_model_unserved',
      help: 'Registered versions that this worker does not serve: their files are missing or differ, or the version failed.',
      labels: ['model', 'version'],
    },
    () => models.unserved().map(({ version: { model, version } }) => ({ labels: { model, version }, value: 1 })),
  );
}

/** The part of the role in the list of workers. */
function describeTo(
  presence: Presence,
  { role, models, pool, devices }: Started & { pool: EnginePool; devices: Devices },
): void {
  let before = { rows: role.rows, atMs: performance.now() };
  models.onChange(() => void presence.report());
  presence.describe(async () => {
    const engines = await pool.describe();
    const now = { rows: role.rows, atMs: performance.now() };
    const seconds = (now.atMs - before.atMs) / 1_000;
    const rate = seconds > 0 ? (now.rows - before.rows) / seconds : 0;
    before = now;
    return {
      models: models.runnable().map(({ version: { model, version }, loaded }) => ({
        name: model,
        version,
        providers: runningProviders(loaded, engines),
      })),
      engines: engines.flatMap(({ status, loaded, memoryBytes }) => {
        const shown = loaded.length > 0 ? loaded : [{ model: null, version: null, provider: CPU }];
        return shown.map((version) => ({ ...version, status, memory_bytes: memoryBytes }));
      }),
      providers: devices.providers,
      held: role.waiting,
      rows_per_s: Math.round(rate * 10) / 10,
      engineBytes: engines.reduce((sum, { memoryBytes }) => sum + (memoryBytes ?? 0), 0),
    };
  });
}

/** The providers of the engines that have loaded a version. Without such an engine: the provider that the next engine uses. */
function runningProviders({ model, version, engine }: LoadedVersion, engines: readonly SlotState[]): string[] {
  const own = engines.flatMap(({ loaded }) => loaded.filter((one) => one.model === model && one.version === version));
  if (own.length === 0) return [engine?.providers[0]?.name ?? CPU];
  return [...new Set(own.map(({ provider }) => provider))].sort();
}

function addHealthChecks({ health, clock, live }: WorkerContext, { role, models }: Started): void {
  // A version that failed serves nowhere, and is no fault of this worker.
  const unserved = () =>
    models.unserved().flatMap(({ version: { state }, reason }) => (state === 'failed' ? [] : [reason]));
  health.check('inference', () =>
    models.runnable().length > 0
      ? 'ok'
      : ['no version of any model is ready here', ...unserved().slice(0, 3)].join('. '),
  );
  health.degraded(unserved);
  // A restart does not repair a clock.
  health.liveness(async () => (clock.fault() === undefined ? takesWork(role.consumers.open, live) : 'ok'));
}

/** Rows of older jobs are not begun ahead: clients can have canceled their predictions meanwhile. */
const FRESH_MS = 50;

/** Rows that can be begun ahead. Empty for a job that has waited, and for a job whose time is in the future. */
const rowsOf = (ahead: Ahead | undefined): readonly Row[] =>
  ahead !== undefined && Math.abs(sharedNow() - ahead.addedAt) < FRESH_MS ? ahead.rows.map(rowAhead) : [];

/** Work of a model can wait for this long while this worker neither takes nor ends a job of the model. */
const IDLE_TOO_LONG_MS = 60_000;

/** Returns the reason for a restart when work waits and this worker takes none. */
async function takesWork(consumers: readonly Consumer[], live: LiveStore): Promise<'ok' | string> {
  for (const { model, lastMoveAt, active } of consumers) {
    if (active > 0 || performance.now() - lastMoveAt < IDLE_TOO_LONG_MS) continue;
    if (await hasWork(live, model))
      return `work waits for '${model}' and none was taken for ${Math.round((performance.now() - lastMoveAt) / 1000)} s`;
  }
  return 'ok';
}
