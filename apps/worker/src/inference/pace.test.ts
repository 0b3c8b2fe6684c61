import { expect, test } from 'vitest';
import { Pace } from './pace.ts';

/** A pace after runs one after the other, each of so many rows and so many ms. */
function after(...runs: [rows: number, ms: number][]): Pace {
  const pace = new Pace();
  let now = 1_000;
  for (const [rows, ms] of runs) {
    pace.begin(now);
    now += ms;
    pace.end(rows, now);
    // Idle time does not count.
    now += 60_000;
  }
  return pace;
}

test.each([
  { name: 'unmeasured', runs: [], maxBatch: 64, hold: 64, run: 64, fills: false },
  { name: '8 ms a row', runs: [[12, 96]], maxBatch: 1, hold: 62, run: 12, fills: true },
  { name: '2 s a row', runs: [[1, 2_000]], maxBatch: 1, hold: 1, run: 1, fills: false },
  { name: '2 s a row in micro-batches', runs: [[8, 16_000]], maxBatch: 8, hold: 8, run: 8, fills: false },
  { name: '32 rows a ms', runs: [[64, 2]], maxBatch: 64, hold: 16_000, run: 3_200, fills: true },
] as const)('of a model with $name', ({ runs, maxBatch, hold, run, fills }) => {
  const pace = after(...runs.map(([rows, ms]): [number, number] => [rows, ms]));
  expect([pace.holdRows(maxBatch), pace.runRows(maxBatch), pace.fills(maxBatch)]).toEqual([hold, run, fills]);
});

test('counts overlapping runs once, and runs without rows not at all', () => {
  const pace = new Pace();
  pace.begin(0);
  pace.begin(1);
  pace.end(10, 10);
  pace.end(10, 20);
  expect(pace.rowsPerMs).toBeCloseTo(1);
  pace.begin(30);
  pace.end(0, 5_030);
  expect(pace.rowsPerMs).toBeCloseTo(1);
});

test('follows a model that becomes slower within a few seconds of work', () => {
  const fast = Array.from({ length: 100 }, (): [number, number] => [64, 3]);
  const slow = Array.from({ length: 10 }, (): [number, number] => [1, 1_000]);
  const pace = after(...fast, ...slow);
  expect(pace.rowsPerMs).toBeLessThan(0.1);
});

test('weighs a run half after two seconds of work, without the idle time between the runs', () => {
  // 100 rows in 1,000 ms weigh half after a run of 300 rows in 2,000 ms.
  expect(after([100, 1_000], [300, 2_000]).rowsPerMs).toBeCloseTo((50 + 300) / (500 + 2_000), 10);
});

test('is not measured before the end of a run', () => {
  const pace = new Pace();
  expect(pace.rowsPerMs).toBeUndefined();
  pace.begin(0);
  expect(pace.rowsPerMs).toBeUndefined();
});

test('a micro-batch of exactly the rows of 20 ms can be filled', () => {
  expect([after([64, 20]).fills(64), after([64, 20]).fills(65)]).toEqual([true, false]);
});
