/** The metrics of the engines of a worker. */
import { SECONDS, SeriesHistogram } from '@millrace/shared/process/series-histogram';
import { Counter, Gauge, type Registry } from 'prom-client';

interface Version {
  model: string;
  version: string;
}

/** See engine/engine-pool.ts. */
interface Pool {
  readonly size: number;
  readonly alive: number;
  readonly slots: readonly {
    busyS: number;
    residentBytes: number;
    loaded: readonly { model: string; version: string; provider: string }[];
  }[];
}

export interface EngineMetrics {
  ran(version: Version, outcome: string, ms: number): void;
  /** Counts a micro-batch: the rows of one call, and the most rows of a call. */
  filled(model: string, rows: number, maxRows: number): void;
  ended(slot: number, end: string, model: string): void;
  /** Adds the metrics that are read from the pool at each scrape. */
  watch(pool: Pool, limitBytes: number): void;
}

export function createEngineMetrics(registry: Registry): EngineMetrics {
  const registers = [registry];
  const runs = new SeriesHistogram({
    name: 'millrace_model_run_seconds',
    help: 'Duration of calls of the engines with a micro-batch, by outcome: done, failed, timeout, died or lost.',
    labels: ['model', 'version', 'outcome'],
    buckets: SECONDS,
  });
  runs.register(registry);
  const ends = new Counter({
    name: 'millrace_engine_ends_total',
    help: 'Ended engines, by the model of their last run and by reason. The worker causes stopped, recycled, idle and aborted.',
    labelNames: ['model', 'reason'],
    registers,
  });
  const fill = new SeriesHistogram({
    name: 'millrace_batch_fill_ratio',
    help: 'Rows of a call of an engine, as a share of the largest micro-batch of the model.',
    labels: ['model'],
    buckets: [0.01, 0.03, 0.1, 0.25, 0.5, 0.75, 0.9, 1],
  });
  fill.register(registry);
  return {
    filled: (model, rows, maxRows) => fill.series(model).observe(rows / Math.max(1, maxRows)),
    ran: ({ model, version }, outcome, ms) => runs.series(model, version, outcome).observe(ms / 1_000),
    ended: (_slot, reason, model) => ends.inc({ model, reason }),
    watch: (pool, limitBytes) => watchPool(registers, pool, limitBytes),
  };
}

function watchPool(registers: Registry[], pool: Pool, limitBytes: number): void {
  const gauge = (name: string, help: string, read: () => number) =>
    new Gauge({
      name,
      help,
      registers,
      collect() {
        this.set(read());
      },
    });
  gauge('millrace_worker_engines', 'Engines that run.', () => pool.alive);
  gauge('millrace_worker_engines_configured', 'Engines of this worker at full load.', () => pool.size);
  gauge('millrace_engine_limit_bytes', 'Resident bytes at which a run is ended.', () => limitBytes);
  new Counter({
    name: 'millrace_engine_busy_seconds_total',
    help: 'Time in which the slot of an engine had a run.',
    labelNames: ['slot'],
    registers,
    collect() {
      this.reset();
      for (const [slot, { busyS }] of pool.slots.entries()) this.inc({ slot: String(slot) }, busyS);
    },
  });
  new Gauge({
    name: 'millrace_engine_resident_bytes',
    help: 'Resident bytes of an engine after its last run; 0 without an engine.',
    labelNames: ['slot', 'provider'],
    registers,
    collect() {
      this.reset();
      for (const [slot, { residentBytes, loaded }] of pool.slots.entries())
        this.set({ slot: String(slot), provider: loaded.find(isOnDevice)?.provider ?? CPU }, residentBytes);
    },
  });
  new Gauge({
    name: 'millrace_engine_loaded_versions',
    help: 'Engines that have loaded the version, by the execution provider of onnxruntime that runs the version.',
    labelNames: ['model', 'version', 'provider'],
    registers,
    collect() {
      this.reset();
      for (const { loaded } of pool.slots) for (const one of loaded) this.inc({ ...one });
    },
  });
}

const CPU = 'cpu';
const isOnDevice = ({ provider }: { provider: string }): boolean => provider !== CPU;
