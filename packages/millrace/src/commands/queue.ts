/** `queue`: the load of the server, live on a terminal. */
import { setTimeout as delay } from 'node:timers/promises';
import { ApiError } from '@millrace/client';
import type { Command } from 'commander';
import { type Context, openContext, withServer } from '../program/context.ts';
import { CommandError } from '../program/exit-codes.ts';
import { wholeNumber } from './input.ts';
import { durationText } from './prediction-text.ts';

interface QueueOptions {
  model?: string;
  watch: boolean;
  interval: number;
}

/** The members of `GET /v1/stats` that the command shows. */
interface Values {
  rate: number | null;
  waiting: number | null;
  oldest_waiting_s: number | null;
  wait_p95_ms: number | null;
  run_p95_ms: number | null;
  total_p95_ms: number | null;
  hit_share: number | null;
  error_share: number | null;
}

interface Step {
  start_at: string;
  values: Values;
}

interface Worker {
  id: string;
  status: string;
  models: readonly { name: string; version: string }[];
  engines: readonly { model: string; version: string; status: string }[];
  held: number | null;
  rows_per_s: number | null;
  memory_bytes: number | null;
  seen_at: string;
}

interface Load {
  stats: Step | null;
  /** Null where the key may not see the workers. */
  workers: readonly Worker[] | null;
}

/** Clears the terminal and puts the cursor at its start. */
const CLEAR = '\u001b[2J\u001b[H';
/** The statistics have steps of a minute: two steps always contain a complete step. */
const WINDOW_MS = 180_000;
const STEP_S = 60;

export function addQueue(program: Command): void {
  withServer(program.command('queue'))
    .description('show depth, rate, age, workers and engines; live on a terminal')
    .option('--model <model>', 'only this model')
    .option('--no-watch', 'print the present state once')
    .option('--interval <seconds>', 'the time between two states', wholeNumber(1, 3_600), 2)
    .action(async (options: QueueOptions) => queue(await openContext(options), options));
}

async function queue(context: Context, { model, watch, interval }: QueueOptions): Promise<void> {
  const { out, signal } = context;
  const isLive = watch && out.isTerminal && !out.json;
  for (;;) {
    const load = await readLoad(context, model);
    if (isLive) out.write(CLEAR);
    out.result(load, () => loadText(load, context));
    if (!isLive) return;
    await delay(interval * 1_000, undefined, { signal }).catch(() => {});
    if (signal.aborted) return;
  }
}

async function readLoad(context: Context, model: string | undefined): Promise<Load> {
  const [stats, workers] = await Promise.all([
    read<Step>(context, '/v1/stats', { model, step: STEP_S, from: new Date(Date.now() - WINDOW_MS).toISOString() }),
    read<Worker>(context, '/v1/workers', {}),
  ]);
  if (stats === null)
    throw new CommandError('This server has no statistics: GET /v1/stats returns 404. Upgrade the server.');
  return { stats: stats.at(-1) ?? null, workers };
}

/** Returns the items of a list; null where the route is missing or forbidden. */
async function read<Item>({ millrace, signal }: Context, path: string, query: object): Promise<Item[] | null> {
  try {
    const page: unknown = await millrace.request('GET', path as '/v1/models', { query, signal });
    return (page as { data: Item[] }).data;
  } catch (error) {
    if (error instanceof ApiError && (error.status === 403 || error.status === 404)) return null;
    throw error;
  }
}

function loadText({ stats, workers }: Load, { out, target }: Context): string {
  const values = stats?.values;
  const number = (value: number | null | undefined, unit = '') =>
    value === null || value === undefined ? '-' : `${Math.round(value * 10) / 10}${unit}`;
  const share = (value: number | null | undefined) =>
    number(value === null || value === undefined ? value : value * 100, ' %');
  const ms = (value: number | null | undefined) => durationText(value ?? null);
  const head = `${out.color.bold('Millrace')} ${target.url}  ${out.time(new Date().toISOString())}`;
  const summary = out.table(
    ['WAITING', 'OLDEST', 'RATE', 'WAIT P95', 'RUN P95', 'TOTAL P95', 'HITS', 'ERRORS'],
    [
      [
        number(values?.waiting),
        number(values?.oldest_waiting_s, ' s'),
        number(values?.rate, '/s'),
        ms(values?.wait_p95_ms),
        ms(values?.run_p95_ms),
        ms(values?.total_p95_ms),
        share(values?.hit_share),
        share(values?.error_share),
      ],
    ],
  );
  return [head, '', summary, '', workersText(workers, out), ''].join('\n');
}

function workersText(workers: readonly Worker[] | null, out: Context['out']): string {
  if (workers === null) return 'The workers are visible to the operators only.';
  if (workers.length === 0) return 'There are no workers.';
  const rows = workers.map(({ id, status, models, engines, held, rows_per_s, memory_bytes }) => [
    id,
    status,
    models.map(({ name, version }) => `${name}/${version}`).join(' '),
    String(engines.length),
    String(held ?? '-'),
    rows_per_s === null ? '-' : rows_per_s.toFixed(1),
    memory_bytes === null ? '-' : `${Math.round(memory_bytes / 1_048_576)} MiB`,
  ]);
  return out.table(['WORKER', 'STATUS', 'MODELS', 'ENGINES', 'HELD', 'ROWS/S', 'MEMORY'], rows);
}
