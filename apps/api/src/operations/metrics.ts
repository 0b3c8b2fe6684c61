/** The metrics of an API process, with what is read from its parts when they are asked for. */
import type { CacheDamage } from '@millrace/shared/cache/damage';
import type { Clock } from '@millrace/shared/postgres/clock';
import { HttpMetrics } from '../http/request-metrics.ts';

export interface MetricsDeps {
  /** Predictions that callers of this process wait for. */
  waiting(): number;
  /** Predictions whose events callers of this process watch. */
  watched(): number;
  /** Predictions that wait for a worker, by model. Models that cannot be read are absent. */
  queued(): Promise<Map<string, number>>;
  damage: Pick<CacheDamage, 'counts'>;
  clock: Pick<Clock, 'skewS'>;
  /** Whether each Redis took the last write. */
  queueWritable(): boolean;
  cacheWritable(): boolean;
}

export function createMetrics(deps: MetricsDeps): HttpMetrics {
  const { damage, clock } = deps;
  const metrics = new HttpMetrics();
  metrics.gauge('millrace_queue_redis_writable', 'Whether the queue Redis took the last write: 1 or 0.', () =>
    Number(deps.queueWritable()),
  );
  metrics.gauge('millrace_cache_redis_writable', 'Whether the cache Redis took the last write: 1 or 0.', () =>
    Number(deps.cacheWritable()),
  );
  metrics.gauge('millrace_api_waiting', 'Predictions that somebody waits for here.', deps.waiting);
  metrics.gauge('millrace_clock_skew_seconds', 'The clock of this process minus the clock of Postgres.', () =>
    clock.skewS(),
  );
  metrics.gauge('millrace_api_streams', 'Predictions whose events are watched here.', deps.watched);
  metrics.counterBy(
    { name: 'millrace_cache_damaged_total', help: 'Damaged values found on the cache Redis.', label: 'kind' },
    () => damage.counts,
  );
  metrics.gaugeByModel('millrace_queue_waiting', 'Predictions that wait for a worker.', deps.queued);
  return metrics;
}
