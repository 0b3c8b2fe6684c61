import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { Fence } from './lifecycle-ledger.ts';
import { openSystem } from './lifecycle-system.ts';

const RUNS = 100_000;
const STEPS_MAX = 40;

/** Checks each invariant after each step, and the promises at the end. */
const explored = (fence: Fence, onStep = () => {}) =>
  fc.property(fc.array(fc.nat(2 ** 20), { maxLength: STEPS_MAX }), (choices) => {
    const system = openSystem(fence);
    for (const choice of choices) {
      system.step(choice);
      onStep();
    }
    system.quiesce();
  });

test(`over ${RUNS} interleavings of submit, take, finish, crash, cancel, expire, retry, late record, loss and reconcile, every invariant holds`, () => {
  let steps = 0;
  fc.assert(
    explored('openings', () => {
      steps += 1;
    }),
    { numRuns: RUNS },
  );
  expect(steps).toBeGreaterThan(RUNS);
}, 300_000);

test('when attempts and time distinguish ends, as in 0.1.0, an old end replaces a new end', () => {
  const { failed, errorInstance } = fc.check(explored('attempts'), { numRuns: RUNS });
  expect(failed).toBe(true);
  expect(String(errorInstance)).toMatch(
    /promised, and the ledger has it ended by|in Redis, .* in the ledger|are in the ledger/,
  );
}, 300_000);
