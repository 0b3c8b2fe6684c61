import { expect, test } from 'vitest';
import { Padding, type Sequence } from './sequences.ts';

const paddingOf = (shape: readonly (number | string)[]) =>
  new Padding({
    names: { inputs: [{ name: 'input_ids', dtype: 'int64', shape: [...shape] }], outputs: [] },
    padId: 0,
    side: 'right',
  });
const sequence = (length: number): Sequence => ({ ids: new Array<number>(length).fill(1) });
const lengthsOf = (lengths: readonly number[], shape: readonly (number | string)[] = ['n', 'length']): number[][] =>
  paddingOf(shape)
    .groups(lengths.map(sequence))
    .map((group) => group.map((at) => lengths[at] ?? -1));

/** Tokens with padding, and 32 tokens for each run. */
const costOf = (groups: readonly (readonly number[])[]): number =>
  groups.reduce((sum, group) => sum + 32 + group.length * Math.max(...group), 0);

/** All divisions of a sorted list into neighboring groups. */
function* divisions(sorted: readonly number[]): Generator<number[][]> {
  for (let bits = 0; bits < 2 ** (sorted.length - 1); bits++) {
    const groups: number[][] = [[]];
    for (const [at, length] of sorted.entries()) {
      groups.at(-1)?.push(length);
      if (at < sorted.length - 1 && (bits >> at) % 2 === 1) groups.push([]);
    }
    yield groups;
  }
}

test('the runs and their padding cost the least of all divisions', () => {
  for (let seed = 1; seed <= 40; seed++) {
    const lengths = Array.from({ length: 10 }, (_, at) => 1 + ((seed * 37 + at * at * 11) % 90));
    const sorted = lengths.toSorted((a, b) => a - b);
    const least = Math.min(...[...divisions(sorted)].map(costOf));
    const groups = lengthsOf(lengths);
    expect(groups.flat()).toEqual(sorted);
    expect(costOf(groups)).toBe(least);
  }
});

test('short texts share a run, and a long text has a run of its own', () => {
  expect(lengthsOf([5, 60, 6, 5, 7])).toEqual([[5, 5, 6, 7], [60]]);
  expect(lengthsOf([])).toEqual([]);
});

test('a run has at most 16,384 tokens with padding', () => {
  const groups = lengthsOf([...new Array<number>(100).fill(400), 20_000]);
  expect(groups.map(({ length }) => length)).toEqual([40, 40, 20, 1]);
});

test('a model with a fixed length pads all texts in one run, and a model for one text has a run for each text', () => {
  expect(lengthsOf([3, 40, 9], ['n', 64])).toHaveLength(1);
  expect(lengthsOf([3, 3, 3], [1, 'length'])).toEqual([[3], [3], [3]]);
});

test('2,000 texts of 500 lengths are divided in less than a second of processor time', () => {
  const lengths = Array.from({ length: 2_000 }, (_, at) => 1 + ((at * 7) % 500));
  const { user } = process.cpuUsage();
  expect(lengthsOf(lengths).flat()).toHaveLength(2_000);
  expect((process.cpuUsage().user - user) / 1e6).toBeLessThan(1);
});
