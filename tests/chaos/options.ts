import { parseArgs } from 'node:util';

export interface Options {
  short: boolean;
  only: readonly string[];
  seed: number;
  /** Seconds after which no further fault is begun. */
  withTimeout: number;
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
      withTimeout: { type: 'string' },
      'no-report': { type: 'boolean' },
    },
  });
  const withTimeout = Number(values.withTimeout ?? Number.POSITIVE_INFINITY);
  if (!(withTimeout > 0)) throw new Error(`--within is a number of seconds above 0, and was '${values.withTimeout}'.`);
  const seed = values.seed === undefined ? Math.floor(Math.random() * 2 ** 31) : Number(values.seed);
  if (!Number.isSafeInteger(seed)) throw new Error(`--seed is a whole number, and was '${values.seed}'.`);
  const only = values.only?.split(',').filter(Boolean) ?? [];
  return { short: values.quick ?? false, only, seed, withTimeout, report: !values['no-report'] };
}
