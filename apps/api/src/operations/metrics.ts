/** The metrics of an API process. Each scrape reads the values from the parts of the process. */
import type { CacheDamage } from '@millrace/shared/cache/damage';
import type { Clock } from '@millrace/shared/postgres/clock';
import { BULL_PRIORITY, type Priority } from '@millrace/shared/predictions/prediction';
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
  addQueues(metrics, deps);
  return metrics;
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
