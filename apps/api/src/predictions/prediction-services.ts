/** Builds the parts behind the routes of predictions from the stores and the catalog. */
import { Batcher } from '@millrace/shared/batching/batcher';
import { createResultCache } from '@millrace/shared/cache/result-cache';
import { ApiError } from '@millrace/shared/errors';
import {
  findEnded,
  findEnds,
  findKeyed,
  findPrediction,
  findTaskless,
  insertEachPromise,
  listPredictions,
  markRetried,
  markTerminal,
  type PromiseRow,
  readOutputs,
  readTasks,
  recordTerminal,
  writtenEnds,
} from '@millrace/shared/ledger/ledger';
import { findRecorded } from '@millrace/shared/ledger/recorded';
import { LiveStore } from '@millrace/shared/live/store';
import { type Clock, sharedNow } from '@millrace/shared/postgres/clock';
import { shardOf } from '@millrace/shared/predictions/ids';
import { baseOf } from '@millrace/shared/predictions/prediction';
import { machineName } from '@millrace/shared/predictions/slots';
import type { StoredTask } from '@millrace/shared/predictions/task';
import { withTimeout } from '@millrace/shared/process/timeout';
import { BytesSupport } from '@millrace/shared/queue/bytes-support';
import { oldestJobs } from '@millrace/shared/queue/oldest-jobs';
import { createQueues, type Queues } from '@millrace/shared/queue/queues';
import { expectOutput, readQueueMemory } from '@millrace/shared/queue/reserved-outputs';
import type { StatsCounts } from '@millrace/shared/stats/stats-counts';
import type { WebhookTimers } from '@millrace/shared/webhooks/timers';
import { lookUpLocal } from '../cache/cache-lookup.ts';
import { createLocalResults, type LocalResults, REFRESH_EVERY_MS } from '../cache/local-results.ts';
import { ParsedRequests } from '../cache/parsed-requests.ts';
import { createBodyCheck } from '../cache/stored-body.ts';
import type { HttpMetrics } from '../http/request-metrics.ts';
import { redisAway } from '../http/store-errors.ts';
import type { Catalog } from '../models/catalog.ts';
import { CompletionListener } from '../queue/completion-listener.ts';
import { EstimateWatch } from '../queue/estimate-watch.ts';
import { QueueGauges, type QueueState } from '../queue/queue-gauges.ts';
import { QueueLoad } from '../queue/queue-load.ts';
import { SlotWriter } from '../queue/slot-writer.ts';
import { createSubmitter } from '../queue/submitter.ts';
import type { OpenParams, Stores } from '../stores/open-stores.ts';
import type { ActionRoutes } from './action-routes.ts';
import { type Actions, createActions } from './cancel-retry.ts';
import { type CreateDeps, type CreatePrediction, createPrediction } from './create-prediction.ts';
import type { CreateRoutes } from './create-routes.ts';
import { createPredictionLookup, type PredictionLookup } from './find-prediction.ts';
import { findByKey } from './idempotency.ts';
import { createIdempotency } from './idempotency-claims.ts';
import { createListPredictions, type ListPredictions } from './list-predictions.ts';
import { PredictionWatcher } from './prediction-watcher.ts';
import { countCreated, countHits } from './request-counts.ts';
import type { RecordedLookup } from './timeline.ts';

const PROMISES_PER_COMMIT = 500;
const PROMISES_WAITING = 50_000;
/** The largest bytes of tasks in one commit of promises, and in all promises that wait for a commit. */
const PROMISE_BYTES = 4 * 1_048_576;
const PROMISE_BYTES_WAITING = 256 * 1_048_576;

export interface OpenPredictionsParams extends OpenParams {
  stores: Stores;
  catalog: Catalog;
  checkWebhook: CreateDeps['checkWebhook'];
  timers: Pick<WebhookTimers, 'scheduleDeliveries'>;
  /** Receives the counts of requests and ends. */
  counts: StatsCounts;
  metrics: HttpMetrics;
}

export interface PredictionServices {
  /** The public URL without a final slash; '' for links that are paths. */
  base: string;
  createPrediction: CreatePrediction;
  lookUpLocal: CreateRoutes['lookUpLocal'];
  parsedRequests: ParsedRequests;
  lookup: PredictionLookup;
  list: ListPredictions;
  /** The stored task of a prediction. The caller must have checked the permission to read the prediction. */
  inputOf(id: string): Promise<StoredTask | null>;
  actions: Actions;
  recordedOf: RecordedLookup;
  findByKey: ActionRoutes['findByKey'];
  watcher: PredictionWatcher;
  /** The number of predictions that callers of this process wait for. */
  waiting(): number;
  /** The state of each queue, by model. */
  queues(): Promise<ReadonlyMap<string, QueueState>>;
  /** The message of the last commit of promises, if the commit failed and no promise was committed since. */
  promiseFault(): string | undefined;
  /** The used share of the memory of the queue Redis, 0 to 1: of the fullest server. */
  queueMemory(): number;
  /** Opens the connections to the queue Redis that waiting callers of these models need, within `timeoutMs`. */
  open(models: readonly string[], timeoutMs: number): Promise<void>;
  /** Ends every wait and every event stream, so that the server can close. */
  release(): Promise<void>;
}

/** The last call, if the call failed. */
interface LastFault {
  last: { message: string; at: number } | undefined;
}

/** A fault that is older says nothing about the next call. */
const FAULT_MS = 60_000;

const faultOf = ({ last }: LastFault): string | undefined =>
  last !== undefined && performance.now() - last.at < FAULT_MS ? last.message : undefined;

async function noted<T>(fault: LastFault, call: Promise<T>): Promise<T> {
  try {
    const result = await call;
    fault.last = undefined;
    return result;
  } catch (error) {
    fault.last = { message: error instanceof Error ? error.message : String(error), at: performance.now() };
    throw error;
  }
}

/** The parts that several services use. */
interface Parts extends OpenPredictionsParams {
  base: string;
  live: LiveStore;
  queues: Queues;
  promiseFaults: LastFault;
  loads: QueueLoad;
  completions: CompletionListener;
  lookup: PredictionLookup;
  limits: CreateDeps['limits'];
  checkClock(): void;
  checkRedis(): void;
}

export function openPredictions(params: OpenPredictionsParams): PredictionServices {
  const { stores, catalog, closers, counts } = params;
  const { db } = stores;
  const parts = openParts(params);
  const { live, completions, lookup } = parts;
  const parsedRequests = new ParsedRequests();
  const cache = openLocalResults(params);
  const idempotency = createIdempotency({
    redis: stores.queue.redis,
    keys: stores.keys,
    findInLedger: (claimed, sinceMs) => findKeyed(db, claimed, sinceMs),
    log: params.log,
  });
  const watcher = new PredictionWatcher(lookup, completions);
  closers.push('prediction watcher', () => watcher.close());
  const queueGauges = new QueueGauges({
    live,
    oldest: (model) => oldestJobs(stores.queue.redis, stores.keys, model),
    models: async () => (await catalog.models('default')).models.map(({ model }) => model),
  });
  return {
    base: parts.base,
    createPrediction: countCreated(openCreatePrediction(parts, { cache, parsedRequests, idempotency }), counts),
    lookUpLocal: countHits((request) => lookUpLocal({ catalog, parsedRequests, cache }, request), counts),
    parsedRequests,
    lookup,
    list: createListPredictions({
      live,
      readLedger: (tenant, options) => listPredictions(db, tenant, options),
      readOutputs: (tenant, ids) => readOutputs(db, tenant, ids),
      readTasks: (ids) => readTasks(db, ids),
    }),
    actions: openActions(parts),
    inputOf: async (id) => (await live.task(id)) ?? (await readTasks(db, [id])).get(id) ?? null,
    recordedOf: (tenant, id) => findRecorded(db, tenant, id),
    findByKey: (tenant, key) => findByKey({ idempotency, lookup }, { tenant, key }),
    watcher,
    waiting: () => completions.waiting,
    queues: () => queueGauges.read(),
    promiseFault: () => faultOf(parts.promiseFaults),
    queueMemory: () => parts.loads.memoryShare(sharedNow()),
    open: (models, timeoutMs) => completions.open(models.map(shardOf), timeoutMs),
    async release() {
      watcher.close();
      await completions.close();
    },
  };
}

function openParts(params: OpenPredictionsParams): Parts {
  const { stores, config, log, closers } = params;
  const { keys, queue, db, clock } = stores;
  const { redis } = queue;
  const live = new LiveStore(redis, keys, { terminalTtlMs: config.liveTtlMs, large: queue.largeRedis });
  const queues = createQueues(redis, keys, (error) => log.debug({ err: error }, 'queue error'));
  closers.push('queues', () => queues.close());
  const completions = new CompletionListener({
    live,
    keys,
    connect: (shard) => queue.connect('blocking', `events-${shard}`),
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
  const lookup = createPredictionLookup({
    live,
    loads,
    completions,
    isClockRight: () => clock.fault() === undefined,
    findInLedger: async (tenant, id) => (await findTaskless(db, tenant, id)) ?? null,
  });
  return {
    ...params,
    promiseFaults: { last: undefined },
    base: baseOf(config.publicUrl),
    live,
    queues,
    loads,
    completions,
    lookup,
    limits: { ...config, maxMemoryShare: config.maxMemoryShare / 100 },
    checkClock: () => refuseWrongClock(clock),
    checkRedis() {
      if (!queue.ready()) throw redisAway(queue.probe.refusal);
    },
  };
}

function openLocalResults({ stores, closers, config }: OpenPredictionsParams): LocalResults {
  const { redis, largeRedis, damage, onError } = stores.cache;
  const results = createResultCache(redis, stores.keys, {
    onError,
    onBytes: (direction, bytes) => stores.metrics.cacheBytes(direction, bytes),
    onDamaged: () => damage.found('result'),
    isCurrent: createBodyCheck(baseOf(config.publicUrl)),
    large: largeRedis,
  });
  const local = createLocalResults(results);
  const refreshing = setInterval(() => void local.refresh(sharedNow()), REFRESH_EVERY_MS).unref();
  closers.push('local results', () => clearInterval(refreshing));
  return local;
}

function openCreatePrediction(
  parts: Parts,
  caches: Pick<CreateDeps, 'cache' | 'parsedRequests' | 'idempotency'>,
): CreatePrediction {
  const { stores, log, closers, live, queues, loads, metrics } = parts;
  const { queue } = stores;
  const promises = openPromises(parts);
  const estimates = new EstimateWatch({
    read: (id) => live.read(id),
    onRun: (model, ms) => loads.observeRun(model, ms),
    registry: metrics.registry,
  });
  closers.push('estimates', () => estimates.close());
  const bytesSupport = new BytesSupport(
    queue.redis,
    stores.keys,
    parts.config.slotMemoryMb > 0 ? machineName() : undefined,
  );
  closers.push('bytes support', () => bytesSupport.close());
  const slots = new SlotWriter({ limitBytes: parts.config.slotMemoryMb * 1_048_576, log });
  closers.push('slots', () => slots.close());
  const deps: CreateDeps = {
    ...parts,
    ...caches,
    submitter: createSubmitter({
      live,
      queues,
      log,
      redisReady: () => queue.ready(),
      timed: (call) => stores.metrics.timed('queue', 'submit', call),
      onCounts: (model, counts) => loads.observe(model, counts, sharedNow()),
    }),
    bytesSupport,
    slots,
    estimates,
    cacheWritable: () => stores.cache.probe.proven,
    insertPromise: async (row) => {
      const refused = await promises.add(row);
      if (refused) throw refused;
    },
  };
  return (request) => createPrediction(deps, request);
}

function openPromises({ stores, config, closers, promiseFaults }: Parts): Batcher<PromiseRow, Error | undefined> {
  const promises = new Batcher<PromiseRow, Error | undefined>({
    // The pool may have to open a connection first, which has its own timeout.
    run: (rows) =>
      noted(
        promiseFaults,
        stores.metrics.timed(
          'postgres',
          'commit',
          withTimeout(config.storeTimeoutMs + 200, insertEachPromise(stores.db, rows), 'The commit of promises'),
        ),
      ),
    defer: (start) => start(),
    maxItems: PROMISES_PER_COMMIT,
    maxWaiting: PROMISES_WAITING,
    bytesOf: ({ task }) => task.length,
    maxBytes: PROMISE_BYTES,
    maxWaitingBytes: PROMISE_BYTES_WAITING,
    concurrency: 2,
    // Otherwise each waiting commit would wait until its own timeout.
    failsAll: () => true,
  });
  closers.push('promises', () => promises.drain());
  return promises;
}

function openActions({ stores, timers, counts, ...parts }: Parts): Actions {
  const { db } = stores;
  const { publicUrl } = parts.config;
  return createActions({
    ...parts,
    findInLedger: async (tenant, id) => (await findPrediction(db, tenant, id)) ?? null,
    endInLedger: async (row, outcome) => {
      const isEnded = await markTerminal(db, row, { ...outcome, publicUrl });
      if (isEnded) counts.ended({ ...row, ...outcome });
      return isEnded;
    },
    recordEnd: async (row) => {
      const recorded = await recordTerminal(db, [row], { publicUrl });
      for (const end of writtenEnds([row], recorded)) counts.ended(end);
      const { deliveries } = recorded;
      await timers.scheduleDeliveries(deliveries);
    },
    reopenInLedger: (end) => markRetried(db, end),
  });
}

function refuseWrongClock(clock: Clock): void {
  const fault = clock.fault();
  if (fault !== undefined) throw new ApiError('clock_wrong', `${fault} Nothing was accepted.`, { retryAfterS: 5 });
}
