/** Reads the input of a prediction from the command line, a file or standard input. */
import { readFile } from 'node:fs/promises';
import { text } from 'node:stream/consumers';
import { CommandError, EXIT } from '../program/exit-codes.ts';

export const usage = (message: string) => new CommandError(message, EXIT.usage);

export interface InputArguments {
  /** `key=value` arguments. */
  pairs: readonly string[];
  /** `--input`: JSON, `@file`, or `-` for standard input. */
  input: string | undefined;
}

/** Returns the input as a value. Throws a CommandError for a wrong command line. */
export async function readInput({ pairs, input }: InputArguments): Promise<unknown> {
  if (input !== undefined && pairs.length > 0)
    throw usage('Pass the input as key=value arguments or with --input, not both.');
  if (input === undefined && pairs.length === 0)
    throw usage(
      'A prediction needs an input: key=value arguments, or --input with JSON, @file or - for standard input.',
    );
  return input === undefined ? inputOfPairs(pairs) : parsed(await sourceOf(input));
}

async function sourceOf(input: string): Promise<{ source: string; name: string }> {
  if (input === '-') return { source: await text(process.stdin), name: 'Standard input' };
  if (!input.startsWith('@')) return { source: input, name: '--input' };
  const file = input.slice(1);
  const source = await readFile(file, 'utf8').catch((error: NodeJS.ErrnoException) => {
    throw usage(`${file} cannot be read (${error.code}). Expected a file with the JSON of the input.`);
  });
  return { source, name: file };
}

function parsed({ source, name }: { source: string; name: string }): unknown {
  try {
    return JSON.parse(source);
  } catch (error) {
    throw usage(`${name} is not valid JSON (${(error as Error).message}). Expected the input, such as {"x": [1, 2]}.`);
  }
}

/** A value is JSON if the value can be parsed, and text otherwise: `n=1` is a number, `name=Aspirin` a text, `id="1"` a text. */
export function inputOfPairs(pairs: readonly string[]): Record<string, unknown> {
  return Object.fromEntries(
    pairs.map((pair) => {
      const at = pair.indexOf('=');
      if (at < 1) throw usage(`'${pair}' is not key=value. Pass the input as key=value arguments, or with --input.`);
      return [pair.slice(0, at), pairValue(pair.slice(at + 1))];
    }),
  );
}

function pairValue(value: string): unknown {
  try {
    return JSON.parse(value);
  } catch {
    return value;
  }
}

/** Reads `key=value` options whose values are texts. */
export function textsOf(pairs: readonly string[], option: string): Record<string, string> {
  return Object.fromEntries(
    pairs.map((pair) => {
      const at = pair.indexOf('=');
      if (at < 1) throw usage(`${option} '${pair}' is not key=value.`);
      return [pair.slice(0, at), pair.slice(at + 1)];
    }),
  );
}

export const collect = (value: string, previous: readonly string[] = []): string[] => [...previous, value];

/** A parser of commander for whole numbers within limits. */
export const wholeNumber =
  (least: number, most: number) =>
  (value: string): number => {
    const number = Number(value);
    if (Number.isInteger(number) && number >= least && number <= most) return number;
    throw usage(`'${value}' is not a whole number from ${least} to ${most}.`);
  };
