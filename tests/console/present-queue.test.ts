/** The charts of the overview show the present queue, and a gap where nobody knows the queue: an old state is not the present. */
import { expect, test } from 'vitest';

// The console has the types of a browser, so the tests import its modules without types.
const file: string = new URL('../../apps/console/src/core/steps.ts', import.meta.url).href;
const { shownSteps } = await import(file);

const START_MS = Date.parse('2026-12-01T08:00:00Z');
const steps = (...queues: (number | null)[]) =>
  queues.map((waiting, minute) => ({
    start_at: new Date(START_MS + minute * 60_000).toISOString(),
    values: { waiting, oldest_waiting_s: waiting, rate: minute },
  }));
/** The queues of the shown steps, `sinceMs` after the beginning of the third step. */
const shown = (queues: (number | null)[], sinceMs: number) =>
  shownSteps({ steps: steps(...queues), stepS: 60, nowMs: START_MS + 120_000 + sinceMs }).map(
    ({ values }: { values: { waiting: number | null; oldest_waiting_s: number | null; rate: number } }) => [
      values.rate,
      values.waiting,
      values.oldest_waiting_s,
    ],
  );

test('a step that has just begun is not shown, and its queue stands in the step before', () => {
  expect(shown([0, 0, 7], 5_000)).toEqual([
    [0, 0, 0],
    [1, 7, 7],
  ]);
  expect(shown([0, 0, 7], 40_000).at(-1)).toEqual([2, 7, 7]);
});

test('a step of a recorder that hangs is a gap, before and after the step is shown', () => {
  expect(shown([0, null, null], 5_000).at(-1)).toEqual([1, null, null]);
  expect(shown([0, null, null], 40_000).at(-1)).toEqual([2, null, null]);
  expect(shown([0, null, 9], 5_000).at(-1)).toEqual([1, 9, 9]);
});
