/** Measures a version with several sizes of micro-batches, engines and threads, in separate engines. */
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Row } from '@millrace/shared/predictions/task';
import type { Logger } from 'pino';
import { createEnginePool, type EnginePool } from './engine-pool.ts';
import type { LoadedVersion } from './protocol/loaded-version.ts';

export interface Setting {
  instances: number;
  threads: number;
  maxBatch: number;
}

export interface Measured extends Setting {
  rowsPerS: number;
  /** The latency of a row, ms: the wait for the micro-batch before, and its own micro-batch. */
  p50Ms: number;
  p99Ms: number;
}

export interface SweepParams {
  version: LoadedVersion;
  /** The row that all callers send. */
  row: Row;
  /** The cores that the engines share. */
  cores: number;
  /** The most rows of a micro-batch. 1 for a model without independent rows. */
  maxBatch: number;
  /** Larger micro-batches are not measured after a p99 above this limit. */
  p99Ms: number;
  /** The duration of each measurement. */
  seconds: number;
  memoryBytes: number;
  loadTimeoutMs: number;
  log: Logger;
  onMeasured(measured: Measured): void;
}

/** Larger micro-batches are not measured after this number of sizes without a gain of MIN_GAIN. */
const STEPS_WITHOUT_GAIN = 2;
const MIN_GAIN = 1.02;
/** Rates within this share of the best are equal: the setting with fewer threads, then with fewer rows, is chosen. */
const EQUAL_RATE = 0.97;
const WARM_UP_RUNS = 3;

/** Returns all measurements. Rejects with the error of the model, or when no engine can be started. */
export async function sweep(params: SweepParams): Promise<Measured[]> {
  const all: Measured[] = [];
  for (const [instances, threads] of shares(params.version, params.cores)) {
    const pool = poolOf(params, instances, threads);
    try {
      all.push(...(await sweepBatches(pool, params, { instances, threads })));
    } finally {
      await pool.close(0);
    }
  }
  return all;
}

/** The setting with the highest rate within the limit. Undefined if each p99 is above the limit. */
export function choose(all: readonly Measured[], p99Ms: number): Measured | undefined {
  const within = all.filter((one) => one.p99Ms <= p99Ms);
  const best = Math.max(0, ...within.map(({ rowsPerS }) => rowsPerS));
  const cost = ({ instances, threads, maxBatch }: Measured) => instances * threads * 1e6 + instances * 1e5 + maxBatch;
  const equal = within.filter(({ rowsPerS }) => rowsPerS >= EQUAL_RATE * best);
  return equal.sort((a, b) => cost(a) - cost(b))[0];
}

/** The numbers of engines, each with the numbers of threads for which the cores suffice. A GPU needs one thread. */
function shares({ engine }: LoadedVersion, cores: number): [number, number][] {
  const onDevice = engine !== undefined && engine.providers[0]?.name !== 'cpu';
  return powersUpTo(cores).flatMap((instances) =>
    powersUpTo(onDevice ? 1 : Math.floor(cores / instances)).map((threads): [number, number] => [instances, threads]),
  );
}

/** 1, 2, 4, and so on, and the limit itself. */
function powersUpTo(most: number): number[] {
  const powers: number[] = [];
  for (let power = 1; power < most; power *= 2) powers.push(power);
  return [...powers, Math.max(1, most)];
}

function poolOf({ memoryBytes, loadTimeoutMs, log }: SweepParams, engines: number, threads: number): EnginePool {
  const limits = { recycleBytes: memoryBytes, memoryLimitBytes: 2 * memoryBytes, loadTimeoutMs };
  return createEnginePool({ engines, threads, depth: 1, ...limits, idleMs: 0, idlePerStart: 1, log });
}

async function sweepBatches(
  pool: EnginePool,
  params: SweepParams,
  { instances, threads }: Pick<Setting, 'instances' | 'threads'>,
): Promise<Measured[]> {
  const all: Measured[] = [];
  let [best, stepsWithoutGain] = [0, 0];
  for (const maxBatch of powersUpTo(params.maxBatch)) {
    const measured = await measure(pool, params, { instances, threads, maxBatch });
    all.push(measured);
    params.onMeasured(measured);
    stepsWithoutGain = measured.rowsPerS > MIN_GAIN * best ? 0 : stepsWithoutGain + 1;
    best = Math.max(best, measured.rowsPerS);
    if (measured.p99Ms > params.p99Ms || stepsWithoutGain === STEPS_WITHOUT_GAIN) break;
  }
  return all;
}

/** Twice as many callers as the rows of all runs: a micro-batch is full, and its rows have waited for the micro-batch before. */
async function measure(pool: EnginePool, { version, row, seconds }: SweepParams, setting: Setting): Promise<Measured> {
  const { instances, maxBatch } = setting;
  const tuned: LoadedVersion = { ...version, maxBatch, engine: withoutLimits(version) };
  const rows = new Array<Row>(maxBatch).fill(row);
  const run = async () => {
    for (const result of await pool.run(tuned, rows)) if (!result.ok) throw new Error(result.detail);
  };
  for (let at = 0; at < WARM_UP_RUNS; at += 1) await Promise.all(Array.from({ length: instances }, run));
  const startedMs = performance.now();
  const endMs = startedMs + seconds * 1_000;
  const waiting = new Array<number>(2 * maxBatch * instances).fill(startedMs);
  const latencies: number[] = [];
  let lastMs = startedMs;
  const runUntilEnd = async () => {
    // One run is measured however slow the model is.
    do {
      const sentAt = waiting.splice(0, maxBatch);
      await run();
      lastMs = performance.now();
      for (const sentMs of sentAt) latencies.push(lastMs - sentMs);
      waiting.push(...sentAt.map(() => lastMs));
      await nextTurn();
    } while (performance.now() < endMs);
  };
  await Promise.all(Array.from({ length: instances }, runUntilEnd));
  latencies.sort((a, b) => a - b);
  const rowsPerS = latencies.length / ((lastMs - startedMs) / 1_000);
  return { ...setting, rowsPerS, p50Ms: percentile(latencies, 0.5), p99Ms: percentile(latencies, 0.99) };
}

/** The engines and threads of the pool decide, and not the settings of model.json. */
function withoutLimits({ engine }: LoadedVersion): LoadedVersion['engine'] {
  return engine && { providers: engine.providers };
}

const percentile = (sorted: readonly number[], share: number): number =>
  sorted[Math.max(0, Math.ceil(sorted.length * share) - 1)] ?? 0;
