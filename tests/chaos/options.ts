import { parseArgs } from 'node:util';

export interface Options {
  short: boolean;
  only: readonly string[];
  seed: number;
  /** Seconds after which no further fault is begun. */
  within: number;
  /** Whether the results go into results.json and docs/reliability.md. */
  report: boolean;
}

/** Throws with a sentence on what it does not know. */
export function optionsOf(args: readonly string[]): Options {
  const { values } = parseArgs({
    args: [...args],
    options: {
      quick: { type: 'boolean' },
      only: { type: 'string' },
      seed: { type: 'string' },
      within: { type: 'string' },
      'no-report': { type: 'boolean' },
    },
  });
  const within = Number(values.within ?? Number.POSITIVE_INFINITY);
  if (!(within > 0)) throw new Error(`--within is a number of seconds above 0, and was '${values.within}'.`);
  const seed = values.seed === undefined ? Math.floor(Math.random() * 2 ** 31) : Number(values.seed);
  if (!Number.isSafeInteger(seed)) throw new Error(`--seed is a whole number, and was '${values.seed}'.`);
  const only = values.only?.split(',').filter(Boolean) ?? [];
  return { short: values.quick ?? false, only, seed, within, report: !values['no-report'] };
}
