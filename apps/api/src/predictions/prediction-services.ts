/** Builds the parts behind the routes of predictions from the stores and the catalog. */
import { createResultCache } from '@millrace/shared/cache/result-cache';
import {
  findEnded,
  findKeyed,
  findPrediction,
  largeOpenBytes,
  listPredictions,
  markRetried,
  markTerminal,
  readOutputs,
  readTasks,
  recordTerminal,
  writtenEnds,
} from '@millrace/shared/ledger/ledger';
import { findRecorded } from '@millrace/shared/ledger/recorded';
import { sharedNow } from '@millrace/shared/postgres/clock';
import { shardOf } from '@millrace/shared/predictions/ids';
import { bytesInLedger } from '@millrace/shared/predictions/ledger-task';
import { SlotWriter } from '@millrace/shared/predictions/slot-writer';
import type { StoredTask } from '@millrace/shared/predictions/task';
import { namesSlots } from '@millrace/shared/predictions/task-bytes';
import { oldestJobs } from '@millrace/shared/queue/oldest-jobs';
import { writeOnce } from '@millrace/shared/redis/one-write';
import { lookUpLocal } from '../cache/cache-lookup.ts';
import { gatherReads } from '../cache/gathered-reads.ts';
import { createLocalResults, type LocalResults, REFRESH_EVERY_MS } from '../cache/local-results.ts';
import { DISCARD_EVERY_MS, ParsedRequests } from '../cache/parsed-requests.ts';
import { createBodyCheck } from '../cache/stored-body.ts';
import type { RefusalReason } from '../queue/admission.ts';
import { CacheSlotWriter } from '../queue/cache-slot-writer.ts';
import { EstimateWatch } from '../queue/estimate-watch.ts';
import { PromisedInputs } from '../queue/promised-inputs.ts';
import { QueueGauges, type QueueState } from '../queue/queue-gauges.ts';
import { createSubmitter } from '../queue/submitter.ts';
import type { ActionRoutes } from './action-routes.ts';
import { type Actions, createActions } from './cancel-retry.ts';
import { type CreateDeps, type CreatePrediction, createPrediction } from './create-prediction.ts';
import type { CreateRoutes } from './create-routes.ts';
import type { PredictionLookup } from './find-prediction.ts';
import { findByKey } from './idempotency.ts';
import { createIdempotency } from './idempotency-claims.ts';
import { createListPredictions, type ListPredictions } from './list-predictions.ts';
import { createNamedResults } from './named-results.ts';
import { faultOf, openPromises } from './open-promises.ts';
import { type OpenPredictionsParams, openParts, type Parts } from './prediction-parts.ts';
import { PredictionWatcher } from './prediction-watcher.ts';
import { countCreated, countHits, promiseOf, type StartCreation } from './request-counts.ts';
import type { RecordedLookup } from './timeline.ts';

export interface PredictionServices {
  /** The public URL without a final slash; '' for links that are paths. */
  base: string;
  createPrediction: CreatePrediction;
  /** Does the same as `createPrediction` without a promise, for the hot path. */
  startCreation: StartCreation;
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

export function openPredictions(params: OpenPredictionsParams): PredictionServices {
  const { stores, catalog, closers, counts } = params;
  const { db } = stores;
  const parts = openParts(params);
  const { live, completions, lookup } = parts;
  const parsedRequests = openParsedRequests(closers);
  const cache = openLocalResults(parts);
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
  const startCreation = countCreated(openCreatePrediction(parts, { cache, parsedRequests, idempotency }), counts);
  return {
    base: parts.base,
    createPrediction: promiseOf(startCreation),
    startCreation,
    lookUpLocal: countHits((request) => lookUpLocal({ catalog, parsedRequests, cache }, request), counts),
    parsedRequests,
    lookup,
    list: createListPredictions({
      live,
      withOutput: parts.withOutput,
      readLedger: (tenant, options) => listPredictions(db, tenant, options),
      readOutputs: (tenant, ids) => readOutputs(db, tenant, ids),
      readTasks: (ids) => readTasks(db, ids),
    }),
    actions: openActions(parts),
    async inputOf(id) {
      const task = await live.task(id);
      const whole = task && (await parts.slotReader.whole(task));
      if (whole && !namesSlots(whole) && bytesInLedger(whole) === undefined) return whole;
      // A slot may be gone. The ledger has the task of each promise.
      return (await readTasks(db, [id])).get(id) ?? whole;
    },
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

function openLocalResults({ stores, closers, base, live }: Parts): LocalResults {
  const { db } = stores;
  const { redis, largeRedis, damage, onError, sharesQueue } = stores.cache;
  const results = createResultCache(redis, stores.keys, {
    onError,
    onBytes: (direction, bytes) => stores.metrics.cacheBytes(direction, bytes),
    onDamaged: () => damage.found('result'),
    isCurrent: createBodyCheck(base),
    large: largeRedis,
    gather: gatherReads,
    named: createNamedResults({ base, live, findEnded: (id) => findEnded(db, id), sharesQueue }),
  });
  const local = createLocalResults(results);
  const refreshing = setInterval(() => void local.refresh(sharedNow()), REFRESH_EVERY_MS).unref();
  closers.push('local results', () => clearInterval(refreshing));
  return local;
}

function openParsedRequests(closers: Parts['closers']): ParsedRequests {
  const parsedRequests = new ParsedRequests();
  const discarding = setInterval(() => parsedRequests.discardUnused(), DISCARD_EVERY_MS).unref();
  closers.push('parsed requests', () => clearInterval(discarding));
  return parsedRequests;
}

function openCreatePrediction(
  parts: Parts,
  caches: Pick<CreateDeps, 'cache' | 'parsedRequests' | 'idempotency'>,
): CreatePrediction {
  const { stores, log, closers, live, queues, loads, metrics } = parts;
  const { queue } = stores;
  const promises = openPromises(parts);
  const promisedInputs = new PromisedInputs({
    limitBytes: parts.config.promisedInputsMb * 1_048_576,
    readBytes: () => largeOpenBytes(stores.db),
    onRefused: (model) => metrics.refused(model, 'inputs' satisfies RefusalReason),
    log,
  });
  const estimates = new EstimateWatch({
    // The beginning of the state: the watch needs no output.
    read: async (id) => (await live.heads([id]))[0] ?? null,
    onRun: (model, ms) => loads.observeRun(model, ms),
    registry: metrics.registry,
  });
  closers.push('estimates', () => estimates.close());
  const fileSlots = new SlotWriter({ limitBytes: parts.config.slotMemoryMb * 1_048_576, log });
  closers.push('slots', () => fileSlots.close());
  const cacheSlots = new CacheSlotWriter({
    redis: stores.cache.sharesQueue ? undefined : stores.cache.largeRedis,
    keys: stores.keys,
    limitBytes: parts.config.cacheSlotMemoryMb * 1_048_576,
    isWritable: () => stores.cache.probe.proven,
    log,
  });
  closers.push('slots of the cache Redis', () => cacheSlots.close());
  const deps: CreateDeps = {
    ...parts,
    ...caches,
    submitter: createSubmitter({
      live,
      queues,
      log,
      redisReady: () => queue.ready(),
      writeOnce: () => writeOnce(queue.redis),
      timed: (call) => stores.metrics.timed('queue', 'submit', call),
      onCounts: (model, counts) => loads.observe(model, counts, sharedNow()),
    }),
    fileSlots,
    cacheSlots,
    estimates,
    cacheWritable: () => stores.cache.probe.proven,
    promisedInputs,
    insertPromise: (row) =>
      promisedInputs.counted(row, async () => {
        const refused = await promises.add(row);
        if (refused) throw refused;
      }),
  };
  return (request) => createPrediction(deps, request);
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
