/** The path of a job in this worker: consumer, dispatcher, engines, result. */

import type { ResultCache } from '@millrace/shared/cache/result-cache';
import { findOnPrimary, readTasks } from '@millrace/shared/ledger/ledger';
import { sharedNow } from '@millrace/shared/postgres/clock';
import { SHARDS, shardOf } from '@millrace/shared/predictions/ids';
import { BULL_PRIORITY, baseOf } from '@millrace/shared/predictions/prediction';
import { hasSlot, machineName } from '@millrace/shared/predictions/slots';
import type { Row } from '@millrace/shared/predictions/task';
import { parseLift, readSlots, rowAhead } from '@millrace/shared/queue/job';
import { OutputSizes } from '@millrace/shared/queue/output-sizes';
import type { Connection } from '@millrace/shared/redis/connection';
import { expectedOutputBytes } from '@millrace/shared/tensors/expected-output';
import type { EnginePool } from '../engine/engine-pool.ts';
import type { ModelManager } from '../models/model-manager.ts';
import type { RunnableVersion } from '../models/runnable-versions.ts';
import type { LabeledValue } from '../operations/metrics.ts';
import type { WorkerContext } from '../operations/worker-context.ts';
import type { CacheWrites } from './cache-writes.ts';
import { type ComputeDeps, compute } from './compute.ts';
import { type Ahead, type Consumer, type Held, startConsumer } from './consumer.ts';
import { Consumers } from './consumer-pool.ts';
import { Dispatcher, HandedBack } from './dispatcher.ts';
import { FetchedRows } from './fetched-rows.ts';
import { isItemOf, itemsOf } from './held-item.ts';
import { HeldResults } from './held-results.ts';
import { LedgerTasks } from './ledger-tasks.ts';
import { Lifts } from './lifts.ts';
import { Pace } from './pace.ts';
import { RUN_BYTES } from './run-rows.ts';

/** Most bytes of results that wait for Redis. This limit and `RUN_BYTES` bound the memory of a worker. */
const HELD_BYTES = 128 * 1_048_576;

export interface InferenceDeps {
  cache: ResultCache;
  cacheWrites: CacheWrites;
  pool: EnginePool;
  models: ModelManager;
}

/** The consumers of this worker, and the work that they hold. */
export class InferenceRole {
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
    const { config, log, keys, id, redis, db, live, slots, metrics, tracing, closers, connect } = base;
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
    const fetchedRows = new FetchedRows(slots, log);
    closers.push('fetched rows', () => fetchedRows.close());
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
      fetchedRows,
      ledgerTasks: new LedgerTasks({
        readTasks: (ids) => readTasks(db, ids),
        findOnPrimary: (ids) => findOnPrimary(db, ids),
        log,
      }),
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
    const channels = [
      registryChannel,
      liftChannel,
      keys.bytesChannel(),
      keys.outputsChannel(),
      keys.cacheSlotsChannel(),
    ];
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
      callMs: () => this.#compute.pool.callMs(loaded),
      run: async ({ items: some, priority: urgency, onStoring }) => {
        this.#refuseWrongClock();
        // The rows of this job are begun ahead only when the run has exactly the items of this job.
        const own = some.length === items.length && some[0] === items[0];
        const target = { ...handle, shard, priority: urgency };
        const begun = own ? rowsOf(ahead) : [];
        const computed = await compute(this.#compute, target, { items: some, ahead: begun, onStoring });
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

const nameOfPriority = (number: number): string =>
  Object.entries(BULL_PRIORITY).find(([, own]) => own === number)?.[0] ?? String(number);

/** Rows of older jobs are not begun ahead: clients can have canceled their predictions meanwhile. */
const FRESH_MS = 50;

/**
 * Rows that can be begun ahead. Empty for a job that has waited, and for a job whose time is in the future. The API releases a slot at
 * the earliest when its prediction has succeeded.
 */
const rowsOf = (ahead: Ahead | undefined): readonly Row[] =>
  ahead !== undefined && Math.abs(sharedNow() - ahead.addedAt) < FRESH_MS
    ? [...ahead.rows.map(rowAhead), ...readSlots(ahead.slots).filter(hasSlot)]
    : [];
