/** Finds the range of integers of each input, from the tables that the input indexes or by trial. */
import type { TensorSpec } from '@millrace/shared/tensors/tensor';
import { GREATEST, type Range, type Ranges, randomFrom, randomRow } from './random-input.ts';
import { elementsOf, type RunTensors } from './row-trial.ts';

const LADDER = [Number.MAX_SAFE_INTEGER, 2_147_483_647, 1_000_000, 65_535, 1_000, 127, 15, 3, 1];
const SEED = 7;
/** Most rows of a trial: more rows would make the trial of many inputs long. */
const ELEMENTS_MAX = 4_000_000;
const RANGES_MS = 5_000;

/** Ranges that are known before the first run. */
export const knownRanges = (vocabulary: Readonly<Record<string, number>>): Ranges =>
  Object.fromEntries(Object.entries(vocabulary).map(([name, size]) => [name, { most: size - 1, negative: false }]));

/** Returns the largest range of each integer input with which a row runs. An input that indexes a table has the range of the table. */
export async function findRanges(
  inputs: readonly TensorSpec[],
  run: RunTensors,
  { size, known }: { size: number; known: Ranges },
): Promise<Ranges> {
  const ranges: Record<string, Range> = { ...known };
  const endAt = performance.now() + RANGES_MS;
  const runs = async (name: string, range: Range, all: 'most' | 'least'): Promise<boolean> => {
    const random = randomFrom(SEED);
    const row = randomRow(inputs, { size, kind: { scale: 1 }, ranges, random });
    const spec = inputs.filter((input) => input.name === name);
    const own = randomRow(spec, { size, kind: { scale: 1, all }, ranges: { [name]: range }, random });
    if (elementsOf(row) > ELEMENTS_MAX) return false;
    try {
      await run({ ...row, ...own });
      return true;
    } catch {
      return false;
    }
  };
  for (const { name, dtype } of inputs) {
    const greatest = GREATEST[dtype];
    if (greatest === undefined || Object.hasOwn(ranges, name)) continue;
    for (const most of LADDER.filter((step) => step <= greatest)) {
      if (performance.now() > endAt) break;
      if (!(await runs(name, { most, negative: false }, 'most'))) continue;
      const signed = { most, negative: true };
      ranges[name] =
        dtype.startsWith('int') && (await runs(name, signed, 'least')) ? signed : { most, negative: false };
      break;
    }
  }
  return ranges;
}
