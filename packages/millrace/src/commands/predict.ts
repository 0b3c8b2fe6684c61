/** `predict`, `watch`, `get`, `list`, `cancel` and `retry`. */
import { type Prediction, PredictionError, type SubmitOptions } from '@millrace/client';
import type { Command } from 'commander';
import { type Context, openContext, withServer } from '../program/context.ts';
import { actOnFilter, type FilterOptions, isForFilter, withActionFilters, withFilters } from './filters.ts';
import { collect, readInput, textsOf, wholeNumber } from './input.ts';
import { outputText, predictionRows, predictionText, progressText } from './prediction-text.ts';

interface PredictOptions {
  input?: string;
  many?: boolean;
  wait: boolean;
  modelVersion?: string;
  priority?: 'high' | 'normal' | 'low';
  expiresIn?: number;
  metadata?: string[];
  cacheControl?: string;
  webhook?: string;
}

/** Ten years in seconds: the server has the limit that counts. */
const LONGEST_S = 315_360_000;

export function addPredict(program: Command): void {
  withServer(program.command('predict <model> [pairs...]'))
    .description('run a model, wait for the end, and print the output')
    .option('-i, --input <json|@file|->', 'the input as JSON, from a file, or from standard input')
    .option('--many', 'the input is a list: one prediction with an output for each item')
    .option('--no-wait', 'print the accepted prediction and do not wait for its end')
    .option('--model-version <version>', 'a version or an alias of the model')
    .option('--priority <priority>', 'high, normal or low')
    .option('--expires-in <seconds>', 'the deadline of the prediction', wholeNumber(1, LONGEST_S))
    .option('-m, --metadata <key=value>', 'metadata of the prediction; can be repeated', collect)
    .option('--cache-control <directives>', 'such as no-cache, to compute the result again')
    .option('--webhook <url>', 'send the end of the prediction to this URL')
    .action(async (model: string, pairs: string[], options: PredictOptions) => {
      const context = await openContext(options);
      await predict(context, { model, input: await readInput({ pairs, input: options.input }), options });
    });
}

async function predict(
  context: Context,
  { model, input, options }: { model: string; input: unknown; options: PredictOptions },
): Promise<void> {
  const { millrace, out, signal } = context;
  const submission = submissionOf(options, signal);
  const list = options.many ? listOf(input) : undefined;
  if (!options.wait) {
    const handle = list
      ? await millrace.submitMany(model, list, submission)
      : await millrace.submit(model, input, submission);
    return out.result(handle.prediction, () => predictionText(handle.prediction, out));
  }
  let last: Prediction | undefined;
  const progress = out.progress(`${model}: sending`);
  const onUpdate = (prediction: Prediction) => {
    last = prediction;
    progress.show(`${model}: ${progressText(prediction)}`);
  };
  try {
    if (list) await millrace.runMany(model, list, { ...submission, onUpdate });
    else await millrace.run(model, input, { ...submission, onUpdate });
  } finally {
    progress.stop();
  }
  if (last) out.result(last, () => outputText(last as Prediction));
}

function listOf(input: unknown): unknown[] {
  return Array.isArray(input) ? input : [input];
}

function submissionOf(options: PredictOptions, signal: AbortSignal): SubmitOptions {
  const { modelVersion, priority, expiresIn, metadata, cacheControl, webhook } = options;
  return {
    signal,
    ...(modelVersion === undefined ? {} : { version: modelVersion }),
    ...(priority === undefined ? {} : { priority }),
    ...(expiresIn === undefined ? {} : { expiresIn }),
    ...(metadata === undefined ? {} : { metadata: textsOf(metadata, '--metadata') }),
    ...(cacheControl === undefined ? {} : { cacheControl }),
    ...(webhook === undefined ? {} : { webhook: { url: webhook } }),
  };
}

export function addPredictions(program: Command): void {
  withServer(program.command('watch <id>'))
    .description('follow a prediction to its end, and print each state')
    .action(async (id: string, options: object) => watch(await openContext(options), id));
  withServer(program.command('get <id>'))
    .description('print a prediction')
    .action(async (id: string, options: object) => {
      const { millrace, out, signal } = await openContext(options);
      const prediction = await millrace.get(id, { signal });
      out.result(prediction, () => predictionText(prediction, out));
    });
  withActionFilters(withServer(program.command('cancel [ids...]')))
    .description('cancel predictions by id, or all queued and running predictions of a filter')
    .action(async (ids: string[], options: FilterOptions) => {
      const isFilter = isForFilter('cancel', ids, options);
      const context = await openContext(options);
      if (isFilter) return actOnFilter(context, 'cancel', options);
      const { millrace, out, signal } = context;
      for (const id of ids) {
        const prediction = await millrace.cancel(id, { signal });
        out.result(prediction, () => `${id} is ${out.status(prediction.status)}`);
      }
    });
  withActionFilters(withServer(program.command('retry [id]')))
    .description('run a failed, canceled or expired prediction again and print its output, or all of a filter')
    .option('--no-wait', 'do not wait for the end; a filter never waits')
    .action(async (id: string | undefined, options: FilterOptions & { wait: boolean }) => {
      const isFilter = isForFilter('retry', id === undefined ? [] : [id], options);
      const context = await openContext(options);
      if (isFilter || id === undefined) return actOnFilter(context, 'retry', options);
      await retry(context, { id, wait: options.wait });
    });
}

async function watch({ millrace, out, signal }: Context, id: string): Promise<void> {
  let last: Prediction | undefined;
  for await (const prediction of millrace.events(id, { signal })) {
    last = prediction;
    out.result(prediction, () => `${new Date().toISOString()}  ${progressText(prediction)}`);
  }
  if (!last) return;
  if (last.status !== 'succeeded') throw new PredictionError(last);
  out.text(outputText(last));
}

async function retry({ millrace, out, signal }: Context, { id, wait }: { id: string; wait: boolean }): Promise<void> {
  const handle = await millrace.retry(id, { signal });
  if (wait) {
    const progress = out.progress(`${id}: sending`);
    try {
      const onUpdate = (prediction: Prediction) => {
        progress.show(`${id}: ${progressText(prediction)}`);
      };
      await handle.wait({ signal, onUpdate });
    } finally {
      progress.stop();
    }
  }
  const { prediction } = handle;
  out.result(prediction, () => (wait ? outputText(prediction) : predictionText(prediction, out)));
}

interface ListOptions extends FilterOptions {
  limit: number;
}

const PAGE = 100;

export function addList(program: Command): void {
  withFilters(withServer(program.command('list')))
    .description('list predictions, newest first')
    .option('-n, --limit <number>', 'the most predictions to print', wholeNumber(1, 1_000_000), 20)
    .action(async (options: ListOptions) => list(await openContext(options), options));
}

async function list({ millrace, out, signal }: Context, options: ListOptions): Promise<void> {
  const { model, status, createdAfter, createdBefore, error, metadata = [], limit } = options;
  const query = { model, status, createdAfter, createdBefore, error, limit: Math.min(limit, PAGE) };
  const found: Prediction[] = [];
  for await (const prediction of millrace.list({ ...query, metadata: textsOf(metadata, '--metadata'), signal })) {
    found.push(prediction as Prediction);
    if (found.length === limit) break;
  }
  out.result(found, () => predictionRows(found, out));
}
