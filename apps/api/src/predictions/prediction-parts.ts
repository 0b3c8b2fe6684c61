/** Opens the parts that several services of predictions use: live states, queues, load, completions and the look-up. */

import { ApiError } from '@millrace/shared/errors';
import { findEnded, findEnds, findTaskless } from '@millrace/shared/ledger/ledger';
import { LiveStore } from '@millrace/shared/live/store';
import type { Clock } from '@millrace/shared/postgres/clock';
import { baseOf } from '@millrace/shared/predictions/prediction';
import { machineName } from '@millrace/shared/predictions/slots';
import { BytesSupport } from '@millrace/shared/queue/bytes-support';
import { createQueues, type Queues } from '@millrace/shared/queue/queues';
import { expectOutput, readQueueMemory } from '@millrace/shared/queue/reserved-outputs';
import { SlotReader } from '@millrace/shared/queue/slot-reader';
import type { StatsCounts } from '@millrace/shared/stats/stats-counts';
import type { WebhookTimers } from '@millrace/shared/webhooks/timers';
import type { HttpMetrics } from '../http/request-metrics.ts';
import { redisAway } from '../http/store-errors.ts';
import type { Catalog } from '../models/catalog.ts';
import { CompletionListener } from '../queue/completion-listener.ts';
import { createOutputReader, type WithOutput } from '../queue/ledger-outputs.ts';
import { QueueLoad } from '../queue/queue-load.ts';
import type { OpenParams, Stores } from '../stores/open-stores.ts';
import type { CreateDeps } from './create-prediction.ts';
import { createPredictionLookup, type PredictionLookup } from './find-prediction.ts';
import type { LastFault } from './open-promises.ts';

export interface OpenPredictionsParams extends OpenParams {
  stores: Stores;
  catalog: Catalog;
  checkWebhook: CreateDeps['checkWebhook'];
  timers: Pick<WebhookTimers, 'scheduleDeliveries'>;
  /** Receives the counts of requests and ends. */
  counts: StatsCounts;
  metrics: HttpMetrics;
}

/** The parts that several services use. */
export interface Parts extends OpenPredictionsParams {
  base: string;
  live: LiveStore;
  /** Reads large inputs from the cache Redis. */
  slotReader: SlotReader;
  bytesSupport: BytesSupport;
  withOutput: WithOutput;
  queues: Queues;
  promiseFaults: LastFault;
  loads: QueueLoad;
  completions: CompletionListener;
  lookup: PredictionLookup;
  limits: CreateDeps['limits'];
  checkClock(): void;
  checkRedis(): void;
}

export function openParts(params: OpenPredictionsParams): Parts {
  const { stores, config, log, closers } = params;
  const { keys, queue, db, clock } = stores;
  const { redis } = queue;
  const live = new LiveStore(redis, keys, { terminalTtlMs: config.liveTtlMs, large: queue.largeRedis });
  const { largeRedis, onError } = stores.cache;
  const slotReader = new SlotReader({ open: () => Promise.resolve(largeRedis), keys, onError });
  const bytesSupport = new BytesSupport(redis, keys, config.slotMemoryMb > 0 ? machineName() : undefined);
  closers.push('bytes support', () => bytesSupport.close());
  const withOutput = createOutputReader(db);
  const queues = createQueues(redis, keys, (error) => log.debug({ err: error }, 'queue error'));
  closers.push('queues', () => queues.close());
  const completions = new CompletionListener({
    live,
    withOutput,
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
    withOutput,
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
    slotReader,
    bytesSupport,
    withOutput,
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

function refuseWrongClock(clock: Clock): void {
  const fault = clock.fault();
  if (fault !== undefined) throw new ApiError('clock_wrong', `${fault} Nothing was accepted.`, { retryAfterS: 5 });
}
