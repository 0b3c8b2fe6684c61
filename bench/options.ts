/** The options of `npm run bench`. */
import path from 'node:path';
import { parseArgs } from 'node:util';
import { type RivalName, rivalPlans } from './rivals.ts';

export interface Options {
  only: readonly string[] | undefined;
  rivals: readonly RivalName[];
  seconds: number;
  rounds: number;
  waiting: number;
  out: string;
  /** Root of the checkout that the rival `before` runs. */
  before: string | undefined;
  /** Share of the traces that the rival millrace records, and `before` does not. Undefined: no traces. */
  traces: number | undefined;
}

export class UsageError extends Error {
  override name = 'UsageError';
}

export const usage = `npm run bench -- [options]
  --only hit,queue    only these scenarios
  --rivals millrace,echo   only these rivals; a goal that needs another rival has no figure
  --before DIR        adds the rival before: Millrace of another checkout, with its dependencies installed
  --traces 0.01       the rival millrace records this share of its traces, 0 to 1; with --before DIR (this checkout, too) the cost of traces
  --seconds 10        how long each load lasts
  --rounds 3          rounds per rival; medians are reported
  --waiting 1000000   predictions that wait in the scenario backlog
  --out FILE          file for the figures (bench/results.json)`;

/** Reads the command line. Throws a UsageError that names the invalid option. */
export function readOptions(args: readonly string[], scenarios: readonly string[], out: string): Options {
  const { values } = parse(args);
  const only = list(values.only);
  const rivals = chosenRivals(list(values.rivals), values.before);
  for (const name of only ?? []) known('scenario', name, scenarios);
  for (const name of rivals) known('rival', name, Object.keys(rivalPlans));
  return {
    only,
    rivals: rivals as RivalName[],
    seconds: whole('seconds', values.seconds ?? '10'),
    rounds: whole('rounds', values.rounds ?? '3'),
    waiting: whole('waiting', values.waiting ?? '1000000'),
    out: values.out ?? out,
    before: values.before === undefined ? undefined : path.resolve(values.before),
    traces: values.traces === undefined ? undefined : share('traces', values.traces),
  };
}

function chosenRivals(named: readonly string[] | undefined, before: string | undefined): readonly string[] {
  const rivals = (named ?? Object.keys(rivalPlans)).filter((name) => name !== 'before');
  return before === undefined ? rivals : [...rivals, 'before'];
}

function parse(args: readonly string[]) {
  const text = { type: 'string' } as const;
  const options = {
    only: text,
    rivals: text,
    seconds: text,
    rounds: text,
    waiting: text,
    out: text,
    before: text,
    traces: text,
  };
  try {
    return parseArgs({ args: [...args], options });
  } catch (error) {
    throw new UsageError((error as Error).message);
  }
}

const list = (value: string | undefined): string[] | undefined => value?.split(',').filter(Boolean);

function known(kind: string, name: string, names: readonly string[]): void {
  if (!names.includes(name)) throw new UsageError(`There is no ${kind} '${name}'; there are ${names.join(', ')}.`);
}

function whole(name: string, value: string): number {
  const number = Number(value);
  if (!Number.isInteger(number) || number < 1) throw new UsageError(`--${name} must be a whole number, 1 or more.`);
  return number;
}

function share(name: string, value: string): number {
  const number = value.trim() === '' ? Number.NaN : Number(value);
  if (!(number >= 0 && number <= 1)) throw new UsageError(`--${name} must be a number from 0 to 1.`);
  return number;
}
