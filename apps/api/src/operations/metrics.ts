/** The metrics of an API process. Each scrape reads the values from the parts of the process. */
import type { CacheDamage } from '@millrace/shared/cache/damage';
import type { Clock } from '@millrace/shared/postgres/clock';
import { HttpMetrics } from '../http/request-metrics.ts';

export interface MetricsDeps {
  /** The number of predictions that callers of this process wait for. */
  waiting(): number;
  /** The number of predictions whose events callers of this process watch. */
  watched(): number;
  /** The number of predictions that wait for a worker, by model. A model whose counts cannot be read is absent. */
  queued(): Promise<Map<string, number>>;
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
  metrics.gaugeByModel('millrace_queue_waiting', 'Predictions that wait for a worker.', deps.queued);
  return metrics;
}
