/** `bench`: measures a model at growing concurrency, as perf_analyzer does. */
import { AbortError, type Millrace } from '@millrace/client';
import type { Command } from 'commander';
import { type Context, openContext, withServer } from '../program/context.ts';
import { CommandError, EXIT } from '../program/exit-codes.ts';
import { readInput, wholeNumber } from './input.ts';

interface BenchOptions {
  input?: string;
  concurrency: readonly number[];
  duration: number;
  warmup: number;
  cached?: boolean;
}

export interface Measurement {
  concurrency: number;
  predictions: number;
  errors: number;
  /** Predictions per second. */
  rate: number;
  p50_ms: number | null;
  p99_ms: number | null;
}

const LEVELS = [1, 2, 4, 8, 16];
const MOST_CONNECTIONS = 1_024;

export function addBench(program: Command): void {
  withServer(program.command('bench <model> [pairs...]'))
    .description('send the same input at growing concurrency, and print rate, p50 and p99')
    .option('-i, --input <json|@file|->', 'the input as JSON, from a file, or from standard input')
    .option('-c, --concurrency <numbers>', 'the numbers of callers at a time', levels, LEVELS)
    .option('-d, --duration <seconds>', 'the time of each measurement', wholeNumber(1, 3_600), 5)
    .option('--warmup <seconds>', 'the time before each measurement', wholeNumber(0, 3_600), 1)
    .option('--cached', 'measure hits: without the option every prediction is computed')
    .action(async (model: string, pairs: string[], options: BenchOptions) => {
      const context = await openContext(options);
      await bench(context, { model, input: await readInput({ pairs, input: options.input }), options });
    });
}

function levels(text: string): number[] {
  return text.split(',').map(wholeNumber(1, MOST_CONNECTIONS));
}

interface Bench {
  model: string;
  input: unknown;
  options: BenchOptions;
}

async function bench({ millrace, out, signal }: Context, { model, input, options }: Bench): Promise<void> {
  const measured: Measurement[] = [];
  const progress = out.progress(model);
  // A first call finds a wrong input before any measurement.
  await millrace.run(model, input, { signal });
  try {
    for (const concurrency of options.concurrency) {
      progress.show(`${model}: ${concurrency} callers for ${options.warmup + options.duration} s`);
      measured.push(await measure(millrace, { model, input, options, concurrency, signal }));
    }
  } finally {
    progress.stop();
  }
  out.result(measured, () =>
    out.table(
      ['CALLERS', 'PREDICTIONS', 'RATE/S', 'P50 MS', 'P99 MS', 'ERRORS'],
      measured.map(({ concurrency, predictions, rate, p50_ms, p99_ms, errors }) => [
        String(concurrency),
        String(predictions),
        rate.toFixed(1),
        p50_ms?.toFixed(1) ?? '-',
        p99_ms?.toFixed(1) ?? '-',
        String(errors),
      ]),
    ),
  );
  if (measured.every(({ predictions }) => predictions === 0))
    throw new CommandError('No prediction succeeded. Read the log of the server.', EXIT.failed);
}

interface Level extends Bench {
  concurrency: number;
  signal: AbortSignal;
}

async function measure(millrace: Millrace, level: Level): Promise<Measurement> {
  const { model, input, options, concurrency, signal } = level;
  const startAt = performance.now() + options.warmup * 1_000;
  const endAt = startAt + options.duration * 1_000;
  const cache = options.cached ? {} : { cacheControl: 'no-store' };
  const times: number[] = [];
  let errors = 0;
  const caller = async () => {
    while (performance.now() < endAt) {
      const sentAt = performance.now();
      try {
        await millrace.run(model, input, { ...cache, signal });
        // A prediction counts where its whole time lies in the measurement.
        if (sentAt >= startAt && performance.now() <= endAt) times.push(performance.now() - sentAt);
      } catch (error) {
        if (error instanceof AbortError) throw error;
        errors += 1;
      }
    }
  };
  await Promise.all(Array.from({ length: concurrency }, caller));
  times.sort((a, b) => a - b);
  return {
    concurrency,
    predictions: times.length,
    errors,
    rate: times.length / options.duration,
    p50_ms: percentile(times, 0.5),
    p99_ms: percentile(times, 0.99),
  };
}

/** The nearest rank: the smallest time that is not below the share of all times. */
export function percentile(sorted: readonly number[], share: number): number | null {
  return sorted[Math.max(0, Math.ceil(sorted.length * share) - 1)] ?? null;
}
