import { parseArgs } from 'node:util';

export interface Options {
  short: boolean;
  only: readonly string[];
  seed: number;
}

/** Throws with a sentence on what it does not know. */
export function optionsOf(args: readonly string[]): Options {
  const { values } = parseArgs({
    args: [...args],
    options: { quick: { type: 'boolean' }, only: { type: 'string' }, seed: { type: 'string' } },
  });
  const seed = values.seed === undefined ? Math.floor(Math.random() * 2 ** 31) : Number(values.seed);
  if (!Number.isSafeInteger(seed)) throw new Error(`--seed is a whole number, and was '${values.seed}'.`);
  return { short: values.quick ?? false, only: values.only?.split(',').filter(Boolean) ?? [], seed };
}
