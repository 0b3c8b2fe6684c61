/**
 * How long the stores take, and how often they fail, as this process sees them. Each process writes a small key to each Redis twice
 * a second, and reads the clock of Postgres every two seconds: these probes measure the stores without any work on the hot path.
 */
import { Counter, type Registry } from 'prom-client';
import { SeriesHistogram } from './series-histogram.ts';

export type StoreName = 'queue' | 'cache' | 'postgres';

const BUCKETS_S = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5];

export class StoreMetrics {
  readonly #seconds: SeriesHistogram;
  readonly #errors: Counter<'store' | 'operation' | 'kind'>;
  /** Plain numbers on the path of every hit. */
  readonly #cacheBytes = { read: 0, written: 0 };

  constructor() {
    this.#seconds = new SeriesHistogram({
      name: 'millrace_store_seconds',
      help: 'Duration of operations of the stores: of the probes, and of the statements that carry many predictions.',
      labels: ['store', 'operation'],
      buckets: BUCKETS_S,
    });
    this.#errors = new Counter({
      name: 'millrace_store_errors_total',
      help: 'Operations of the stores that failed, by kind: timeout, refused, full, unreachable, skipped or other.',
      labelNames: ['store', 'operation', 'kind'],
      registers: [],
    });
  }

  register(registry: Registry): void {
    this.#seconds.register(registry);
    registry.registerMetric(this.#errors);
    const bytes = this.#cacheBytes;
    new Counter({
      name: 'millrace_cache_bytes_total',
      help: 'Bytes of results that this process read from the cache Redis and wrote to the cache Redis.',
      labelNames: ['direction'],
      registers: [registry],
      collect() {
        this.reset();
        this.inc({ direction: 'read' }, bytes.read);
        this.inc({ direction: 'written' }, bytes.written);
      },
    });
  }

  /** Counts bytes of results. */
  cacheBytes(direction: 'read' | 'written', bytes: number): void {
    this.#cacheBytes[direction] += bytes;
  }

  took(store: StoreName, operation: string, ms: number): void {
    this.#seconds.series(store, operation).observe(ms / 1_000);
  }

  failed(store: StoreName, operation: string, error: unknown): void {
    this.#errors.inc({ store, operation, kind: kindOf(error) });
  }

  /** Counts results that were not written to the cache because the cache did not respond. */
  skipped(store: StoreName, operation: string, count: number): void {
    this.#errors.inc({ store, operation, kind: 'skipped' }, count);
  }

  /** Measures a call. */
  async timed<T>(store: StoreName, operation: string, call: Promise<T>): Promise<T> {
    const begunMs = performance.now();
    try {
      return await call;
    } catch (error) {
      this.failed(store, operation, error);
      throw error;
    } finally {
      this.took(store, operation, performance.now() - begunMs);
    }
  }
}

const REFUSED = /^(?:READONLY|MASTERDOWN|LOADING|UNBLOCKED|MISCONF|NOREPLICAS|NOPERM|CLUSTERDOWN|NOAUTH|WRONGPASS)\b/;

function kindOf(error: unknown): 'timeout' | 'refused' | 'full' | 'unreachable' | 'other' {
  const message = error instanceof Error ? error.message : String(error);
  const { name = '', code = '' } = (error ?? {}) as { name?: string; code?: string };
  if (/^OOM\b/.test(message) || name === 'BatcherFull' || code.startsWith('53')) return 'full';
  // 25006: Postgres is read-only. 57014: the statement took too long.
  if (REFUSED.test(message) || code === '25006') return 'refused';
  if (/time-?d? ?out|took longer|within \d+ ms/i.test(message) || code === '57014') return 'timeout';
  if (/^E[A-Z]+$/.test(code) || /closed|terminated|not respond|writeable|ECONN/i.test(message)) return 'unreachable';
  return 'other';
}
