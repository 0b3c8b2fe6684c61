import fc from 'fast-check';
import { expect, test } from 'vitest';
import { openSystem } from './lifecycle-system.ts';

const RUNS = 100_000;
const STEPS_MAX = 40;

test(`over ${RUNS} interleavings of submit, take, finish, crash, cancel, expire, retry, loss and reconcile, every invariant holds`, () => {
  let steps = 0;
  fc.assert(
    fc.property(fc.array(fc.nat(2 ** 20), { maxLength: STEPS_MAX }), (choices) => {
      const system = openSystem();
      for (const choice of choices) {
        system.step(choice);
        steps += 1;
      }
      system.quiesce();
    }),
    { numRuns: RUNS },
  );
  expect(steps).toBeGreaterThan(RUNS);
}, 300_000);
