/** The metrics of an API process, with what is read from its parts when they are asked for. */
import type { CacheDamage } from '@millrace/shared/cache/damage';
import type { LiveStore } from '@millrace/shared/live/store';
import type { Clock } from '@millrace/shared/postgres/clock';
import { HttpMetrics } from '../http/request-metrics.ts';
import type { Catalog } from '../models/catalog.ts';
import type { Streams } from '../predictions/prediction-watcher.ts';
import { waitingOf } from '../queue/admission.ts';
import type { Completions } from '../queue/completion-listener.ts';

export interface MetricsMeans {
  completions: Pick<Completions, 'waiting'>;
  streams: Pick<Streams, 'size'>;
  live: Pick<LiveStore, 'counts'>;
  catalog: Pick<Catalog, 'models'>;
  damage: Pick<CacheDamage, 'counts'>;
  clock: Pick<Clock, 'skewS'>;
  /** Whether each Redis took the last write. */
  queueWritable(): boolean;
  cacheWritable(): boolean;
}

export function createMetrics(means: MetricsMeans): HttpMetrics {
  const { completions, streams, live, catalog, damage, clock } = means;
  const metrics = new HttpMetrics();
  metrics.gauge('millrace_queue_redis_writable', 'Whether the queue Redis took the last write: 1 or 0.', () =>
    Number(means.queueWritable()),
  );
  metrics.gauge('millrace_cache_redis_writable', 'Whether the cache Redis took the last write: 1 or 0.', () =>
    Number(means.cacheWritable()),
  );
  metrics.gauge('millrace_api_waiting', 'Predictions that somebody waits for here.', () => completions.waiting);
  metrics.gauge('millrace_clock_skew_seconds', 'The clock of this process minus the clock of Postgres.', clock.skewS);
  metrics.gauge('millrace_api_streams', 'Predictions whose events are watched here.', () => streams.size);
  metrics.counterBy(
    { name: 'millrace_cache_damaged_total', help: 'Damaged values found on the cache Redis.', label: 'kind' },
    () => damage.counts,
  );
  metrics.gaugeByModel('millrace_queue_waiting', 'Predictions that wait for a worker.', async () => {
    const waiting = new Map<string, number>();
    // Without Redis or the registry the other metrics are wanted all the more.
    const { models } = await catalog.models('default').catch(() => ({ models: [] }));
    for (const { model } of models) {
      const counts = await live.counts(model).catch(() => null);
      if (counts) waiting.set(model, waitingOf(counts));
    }
    return waiting;
  });
  return metrics;
}
