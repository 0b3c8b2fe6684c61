/** The first line of the overview: whether the system keeps up, in a title and a sentence. */
import { count, counted, duration, number } from '../../core/format.ts';
import type { ChartRange } from '../../core/stats.ts';
import { latest, type Steps, shownSteps, sumOf } from '../../core/steps.ts';
import type { SystemData } from './data.ts';

export interface Finding {
  title: string;
  text: string;
  kind: 'ok' | 'late' | 'failed';
}

export interface FindingInput {
  steps: Steps;
  range: ChartRange;
  model: string | undefined;
  system: SystemData | undefined;
}

/** An older prediction means that the queue does not empty in time. */
const LATE_S = 10;
/** The steps before the last with which the number of waiting predictions is compared. */
const BEFORE = 3;
/** The steps of the present queue: a step that has just begun may have none. An older state is not the present. */
const PRESENT = 2;
const SMALL = ['No', 'One', 'Two', 'Three', 'Four', 'Five', 'Six', 'Seven', 'Eight', 'Nine'];

export function findingOf(input: FindingInput): Finding {
  return brokenPart(input.system) ?? noWorker(input.system) ?? ofQueue(input);
}

/** By the name of the part in /readyz. */
const FAULTS: Readonly<Record<string, string>> = {
  process: 'This server is stopping',
  redis: 'The queue does not respond',
  cache: 'The cache does not respond',
  postgres: 'The ledger does not respond',
  clock: 'A clock is wrong',
  models: 'No model is ready',
  admission: 'New predictions are refused',
  promises: 'Promises are refused',
  workers: 'Predictions wait for a worker',
  recorder: 'The ledger is behind',
};

function brokenPart(system: SystemData | undefined): Finding | undefined {
  const [part] = Object.keys(system?.health.faults ?? {});
  if (part === undefined) return undefined;
  const text = 'No accepted prediction is lost. The page shows the present state as soon as all parts respond.';
  return { title: FAULTS[part] ?? `The part ${part} has a fault`, text, kind: 'failed' };
}

function noWorker(system: SystemData | undefined): Finding | undefined {
  const { workers } = system ?? {};
  if (workers === undefined || workers.some(({ status }) => status === 'running')) return undefined;
  return {
    title: 'No worker runs',
    text: 'Predictions wait in the queue until a worker starts. No accepted prediction is lost.',
    kind: 'failed',
  };
}

function ofQueue({ steps, range, model, system }: FindingInput): Finding {
  const all = steps.steps;
  const present = all.slice(-PRESENT);
  const waiting = latest(present, 'waiting');
  const ofModel = model === undefined ? '' : ` of ${model}`;
  if (waiting === null) return withoutQueue(all, range, ofModel);
  const oldestS = waiting === 0 ? 0 : (latest(present, 'oldest_waiting_s') ?? 0);
  const before = all.at(-1 - BEFORE)?.values.waiting ?? waiting;
  const rate = shownSteps(steps).at(-1)?.values.rate ?? 0;
  const queue =
    waiting === 0
      ? `No prediction${ofModel} is queued.`
      : `${counted(waiting, 'prediction')}${ofModel} queued, the oldest for ${duration(oldestS * 1_000)}.`;
  const text = `${queue} ${speed({ rate, waiting, workers: system?.workers?.filter(({ status }) => status === 'running').length })}`;
  if (oldestS < LATE_S)
    return {
      title: sumOf(all, 'accepted', 'hits') === 0 && waiting === 0 ? `Idle in ${range.name}` : 'Keeping up',
      text,
      kind: 'ok',
    };
  if (waiting < before) return { title: 'Catching up', text, kind: 'late' };
  return { title: `Behind by ${duration(oldestS * 1_000)}`, text, kind: 'late' };
}

interface Speed {
  rate: number;
  waiting: number;
  workers: number | undefined;
}

function speed({ rate, waiting, workers }: Speed): string {
  const who =
    workers === undefined
      ? 'The workers process'
      : workers === 1
        ? 'One worker processes'
        : `${SMALL[workers] ?? count(workers)} workers process`;
  if (rate === 0)
    return workers === undefined
      ? ''
      : waiting === 0
        ? `${who.replace(/ process(es)?$/, '')} ${workers === 1 ? 'waits' : 'wait'} for work.`
        : `${who} none at present.`;
  const end = waiting === 0 ? '' : `, so the queue empties in about ${duration((waiting / rate) * 1_000)}`;
  return `${who} ${number(rate)} per second${end}.`;
}

/** A tenant sees its own predictions, and not the queue, which all tenants share. */
function withoutQueue(all: Steps['steps'], range: ChartRange, ofModel: string): Finding {
  const bad = sumOf(all, 'failed', 'expired');
  const ended = sumOf(all, 'succeeded', 'failed', 'expired', 'canceled');
  const hits = sumOf(all, 'hits');
  const text = `${counted(ended, 'prediction')}${ofModel} ended in ${range.name}, and ${counted(hits, 'request')} had a cached result.`;
  if (ended + hits === 0)
    return { title: `Idle in ${range.name}`, text: `No prediction${ofModel} in ${range.name}.`, kind: 'ok' };
  if (bad === 0) return { title: 'No prediction failed', text, kind: 'ok' };
  return { title: `${counted(bad, 'prediction')} failed or expired`, text, kind: 'late' };
}
