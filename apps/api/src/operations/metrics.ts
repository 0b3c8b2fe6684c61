/** The metrics of an API process. Each scrape reads the values from the parts of the process. */
import type { CacheDamage } from '@millrace/shared/cache/damage';
import type { Clock } from '@millrace/shared/postgres/clock';
import { BULL_PRIORITY, type Priority } from '@millrace/shared/predictions/prediction';
import { RELEASE } from '@millrace/shared/process/release';
import type { SeriesHistogram } from '@millrace/shared/process/series-histogram';
import type { StoreMetrics } from '@millrace/shared/process/store-metrics';
import { Gauge } from 'prom-client';
import { HttpMetrics } from '../http/request-metrics.ts';

/** See queue/queue-gauges.ts. */
interface QueueState {
  waiting: number;
  oldestS: ReadonlyMap<Priority, number>;
}

export interface MetricsDeps {
  /** The number of predictions that callers of this process wait for. */
  waiting(): number;
  /** The number of predictions whose events callers of this process watch. */
  watched(): number;
  /** The state of each queue, by model. A model whose queue cannot be read is absent. */
  queues(): Promise<ReadonlyMap<string, QueueState>>;
  /** The used share of the memory of the queue Redis. */
  queueMemory(): number;
  /** Age of the oldest end that the recorders have not written, in seconds. */
  recorderLagS(): Promise<number>;
  /** The version of each model that serves requests without a version. */
  defaults(): Promise<readonly { model: string; version: string }[]>;
  /** Times of the handlers' canonical forms. */
  canonicalForms: Pick<SeriesHistogram, 'register'>;
  stores: Pick<StoreMetrics, 'register'>;
  damage: Pick<CacheDamage, 'counts'>;
  clock: Pick<Clock, 'skewS'>;
  /** Whether the queue Redis accepted the last write. */
  queueWritable(): boolean;
  /** Whether the cache Redis accepted the last write. */
  cacheWritable(): boolean;
}

export function createMetrics(deps: MetricsDeps): HttpMetrics {
  const { damage, clock } = deps;
  const metrics = new HttpMetrics();
  metrics.gauge('millrace_queue_redis_writable', 'Whether the queue Redis accepted the last write: 1 or 0.', () =>
    Number(deps.queueWritable()),
  );
  metrics.gauge('millrace_cache_redis_writable', 'Whether the cache Redis accepted the last write: 1 or 0.', () =>
    Number(deps.cacheWritable()),
  );
  metrics.gauge('millrace_api_waiting', 'Predictions that callers of this process wait for.', deps.waiting);
  metrics.gauge('millrace_clock_skew_seconds', 'The clock of this process minus the clock of Postgres.', () =>
    clock.skewS(),
  );
  metrics.gauge('millrace_api_streams', 'Predictions whose events callers of this process watch.', deps.watched);
  metrics.counterBy(
    { name: 'millrace_cache_damaged_total', help: 'Damaged values found on the cache Redis.', label: 'kind' },
    () => damage.counts,
  );
  metrics.gauge(
    'millrace_queue_redis_memory_ratio',
    'The used share of the memory of the queue Redis, 0 to 1.',
    deps.queueMemory,
  );
  deps.stores.register(metrics.registry);
  deps.canonicalForms.register(metrics.registry);
  addBuildInfo(metrics);
  addQueues(metrics, deps);
  addRecorderLag(metrics, deps);
  addDefaults(metrics, deps);
  return metrics;
}

function addBuildInfo({ registry }: HttpMetrics): void {
  const info = new Gauge({
    name: 'millrace_build_info',
    help: 'The version of Millrace, with the value 1.',
    labelNames: ['version', 'process'],
    registers: [registry],
  });
  info.set({ version: RELEASE, process: 'api' }, 1);
}

/** A scrape must succeed while a store stalls, because the metrics then matter most. */
const LIMIT_MS = 50;

/** Resolves to undefined when `read` fails, or takes longer than a scrape may wait. */
async function inTime<T>(read: Promise<T>): Promise<T | undefined> {
  const { promise: late, resolve } = Promise.withResolvers<undefined>();
  const timer = setTimeout(() => resolve(undefined), LIMIT_MS);
  return Promise.race([read.catch(() => undefined), late]).finally(() => clearTimeout(timer));
}

function addRecorderLag(metrics: HttpMetrics, { recorderLagS }: MetricsDeps): void {
  const lag = new Gauge({
    name: 'millrace_recorder_lag_seconds',
    help: 'Age of the oldest end that is not in the ledger yet. Absent while the queue Redis does not respond.',
    labelNames: [],
    registers: [metrics.registry],
  });
  metrics.beforeScrape(async () => {
    const seconds = await inTime(recorderLagS());
    if (seconds === undefined) lag.remove();
    else lag.set(seconds);
  });
}

function addDefaults(metrics: HttpMetrics, { defaults }: MetricsDeps): void {
  const serving = new Gauge({
    name: 'millrace_model_default',
    help: 'The version of a model that serves requests without a version, with the value 1.',
    labelNames: ['model', 'version'],
    registers: [metrics.registry],
  });
  metrics.beforeScrape(async () => {
    const versions = await inTime(defaults());
    if (versions === undefined) return;
    serving.reset();
    for (const { model, version } of versions) serving.set({ model, version }, 1);
  });
}

const PRIORITIES = Object.keys(BULL_PRIORITY) as Priority[];

function addQueues(metrics: HttpMetrics, { queues }: MetricsDeps): void {
  const registers = [metrics.registry];
  const waiting = new Gauge({
    name: 'millrace_queue_waiting',
    help: 'Predictions that wait for a worker.',
    labelNames: ['model'],
    registers,
  });
  const oldest = new Gauge({
    name: 'millrace_queue_oldest_seconds',
    help: 'Time since the oldest waiting prediction entered the queue; 0 while none waits.',
    labelNames: ['model', 'priority'],
    registers,
  });
  metrics.beforeScrape(async () => {
    const states = await queues();
    waiting.reset();
    oldest.reset();
    for (const [model, state] of states) {
      waiting.set({ model }, state.waiting);
      for (const priority of PRIORITIES) oldest.set({ model, priority }, state.oldestS.get(priority) ?? 0);
    }
  });
}
