/** The Prometheus metrics of a worker. */

import type { Finished } from '@millrace/shared/live/store';
import { sharedNow } from '@millrace/shared/postgres/clock';
import { readCounter, readGauge } from '@millrace/shared/process/read-metrics';
import { StoreMetrics } from '@millrace/shared/process/store-metrics';
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';
import { createEngineMetrics, type EngineMetrics } from './engine-metrics.ts';
import { createPredictionMetrics, type EndedPrediction, type PredictionMetrics } from './prediction-metrics.ts';

export interface WorkerMetrics {
  readonly registry: Registry;
  finished(
    version: { model: string; version: string },
    items: readonly Finished[],
    verdicts: readonly ('written' | 'cancelled' | 'fenced')[],
  ): void;
  /** Counts rows without a result in the cache, which went to the engines. */
  computed(model: string, rows: number): void;
  recorded(rows: number): void;
  /** Counts an output of 1 MiB or more, by the store that received the output before the end of the prediction was recorded. */
  longOutput(store: 'postgres' | 'queue'): void;
  /** Counts an end whose output Postgres could not store. */
  recordedWithoutOutput(): void;
  reconciled(outcome: string): void;
  /** Notes the end of a pass of the reconciler. */
  reconciledAll(): void;
  lockLost(count: number): void;
  /** Counts unreadable live states that any process has discarded. */
  unreadable(count: number): void;
  gauge(name: string, help: string, read: () => number): void;
  /** Adds a gauge with labels whose samples are read at each scrape. */
  gaugeBy(gauge: { name: string; help: string; labels: readonly string[] }, read: () => readonly LabeledValue[]): void;
  /** Durations and failures of the stores. */
  readonly stores: StoreMetrics;
  readonly engines: EngineMetrics;
  readonly predictions: PredictionMetrics;
  /** Adds a counter whose values, by value of `label`, are kept elsewhere and are read at each scrape. */
  counterBy(counter: { name: string; help: string; label: string }, read: () => ReadonlyMap<string, number>): void;
}

export interface LabeledValue {
  labels: Readonly<Record<string, string>>;
  value: number;
}

/** Gauges of prom-client whose names end like the names of counters. */
const MISNAMED = ['nodejs_active_resources_total', 'nodejs_active_handles_total', 'nodejs_active_requests_total'];

/** `onFailed` receives each end that failed or expired, when the ledger has the end. */
export function createWorkerMetrics(onFailed: (end: EndedPrediction, code: string) => void = () => {}): WorkerMetrics {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry, eventLoopMonitoringPrecision: 10 });
  for (const name of MISNAMED) registry.removeSingleMetric(name);
  const stores = new StoreMetrics();
  stores.register(registry);
  const counters = createCounters([registry]);
  return {
    registry,
    stores,
    engines: createEngineMetrics(registry),
    predictions: createPredictionMetrics(registry, onFailed),
    ...readAtScrape(registry),
    finished({ model, version }, items, verdicts) {
      const [first] = items;
      if (first) counters.batch.observe({ model }, first.batchSize);
      // Nearly all items of a run have the same outcome: each sequence of equal outcomes is counted at once.
      for (let at = 0; at < items.length; ) {
        const from = at;
        const status = items[from]?.status ?? '';
        const verdict = verdicts[from] ?? '';
        while (at < items.length && items[at]?.status === status && (verdicts[at] ?? '') === verdict) at += 1;
        counters.outcomes.inc({ model, version, status, verdict }, at - from);
      }
    },
    computed: (model, count) => counters.computed.inc({ model }, count),
    recorded: (count) => counters.rows.inc(count),
    longOutput: (store) => counters.longOutputs.inc({ store }),
    recordedWithoutOutput: () => counters.omitted.inc(),
    reconciled: (outcome) => counters.reconciled.inc({ outcome }),
    reconciledAll: () => counters.passed.set(sharedNow() / 1_000),
    lockLost: (count) => counters.locks.inc(count),
    unreadable: (count) => counters.unreadable.inc(count),
  };
}

/** The metrics that this file counts. */
const createCounters = (registers: Registry[]) => ({
  outcomes: new Counter({
    name: 'millrace_worker_predictions_total',
    help: 'Predictions that this worker computed, by the fate of the result.',
    labelNames: ['model', 'version', 'status', 'verdict'],
    registers,
  }),
  batch: new Histogram({
    name: 'millrace_worker_batch_rows',
    help: 'Rows of the engine batch that a prediction was part of.',
    labelNames: ['model'],
    buckets: [1, 2, 4, 8, 16, 32, 64, 128, 256, 512],
    registers,
  }),
  computed: new Counter({
    name: 'millrace_worker_rows_total',
    help: 'Rows that went to the engines, without the rows that had a cached result.',
    labelNames: ['model'],
    registers,
  }),
  rows: new Counter({
    name: 'millrace_recorder_rows_total',
    help: 'Terminal states written to the ledger.',
    registers,
  }),
  longOutputs: new Counter({
    name: 'millrace_long_outputs_total',
    help: 'Outputs of 1 MiB or more, by the store that received them: postgres, or queue for waiting callers and when Postgres is slow.',
    labelNames: ['store'],
    registers,
  }),
  omitted: new Counter({
    name: 'millrace_recorder_outputs_omitted_total',
    help: 'Ends written to the ledger without their output, because Postgres could not store the output.',
    registers,
  }),
  reconciled: new Counter({
    name: 'millrace_reconciler_total',
    help: 'Promises that the reconciler checked, by outcome.',
    labelNames: ['outcome'],
    registers,
  }),
  passed: new Gauge({
    name: 'millrace_reconciler_pass_timestamp_seconds',
    help: 'Unix time of the last complete pass of the reconciler in this worker; 0 before the first pass. One worker reconciles.',
    registers,
  }),
  locks: new Counter({
    name: 'millrace_worker_lock_renewals_failed_total',
    help: 'Job locks that could not be renewed.',
    registers,
  }),
  unreadable: new Counter({
    name: 'millrace_live_states_unreadable_total',
    help: 'Live states in Redis that could not be read and were discarded; the ledger has their promises.',
    registers,
  }),
});

/** Adds metrics whose values are kept elsewhere and are read at each scrape. */
const readAtScrape = (registry: Registry): Pick<WorkerMetrics, 'gauge' | 'gaugeBy' | 'counterBy'> => ({
  gaugeBy({ name, help, labels }, read) {
    new Gauge({
      name,
      help,
      labelNames: [...labels],
      registers: [registry],
      collect() {
        this.reset();
        for (const sample of read()) this.set({ ...sample.labels }, sample.value);
      },
    });
  },
  counterBy: (counter, read) => readCounter(registry, counter, read),
  gauge: (name, help, read) => readGauge(registry, { name, help }, read),
});
