/** The options of `npm run test:chaos`. */
import { parseArgs } from 'node:util';
import { type Part, parsePart } from './part.ts';

export interface Options {
  short: boolean;
  only: readonly string[];
  /** The part of the selected faults. */
  part: Part;
  seed: number;
  /** Seconds after which no further fault starts. */
  within: number;
  /** Whether the results are written to results.json and docs/reliability.md. */
  report: boolean;
}

/** Throws an error that names the invalid option. */
export function optionsOf(args: readonly string[]): Options {
  const { values } = parseArgs({
    args: [...args],
    options: {
      quick: { type: 'boolean' },
      only: { type: 'string' },
      part: { type: 'string', default: '0/1' },
      seed: { type: 'string' },
      within: { type: 'string' },
      'no-report': { type: 'boolean' },
    },
  });
  const within = Number(values.within ?? Number.POSITIVE_INFINITY);
  if (!(within > 0)) throw new Error(`--within must be a number of seconds above 0, and is '${values.within}'.`);
  const seed = values.seed === undefined ? Math.floor(Math.random() * 2 ** 31) : Number(values.seed);
  if (!Number.isSafeInteger(seed)) throw new Error(`--seed must be a whole number, and is '${values.seed}'.`);
  const only = values.only?.split(',').filter(Boolean) ?? [];
  return {
    short: values.quick ?? false,
    only,
    part: parsePart(values.part),
    seed,
    within,
    report: !values['no-report'],
  };
}
