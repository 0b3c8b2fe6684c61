/** Whether a model gives equal answers to equal questions, by trial. */
import type { TensorSpec } from '@millrace/shared/tensors/tensor';
import type { RepeatResult } from '../protocol/probe-question.ts';
import { firstChange } from './compare-outputs.ts';
import { type Ranges, randomFrom, randomRow } from './random-input.ts';
import type { RunTensors } from './row-trial.ts';

const REPEATS = 4;
const SEED = 11;
/** A slow model is run twice, and no more. */
const REPEAT_MS = 2_000;

/** Runs one random row several times; every bit of every output must be equal. */
export async function tryRepeats(
  inputs: readonly TensorSpec[],
  run: RunTensors,
  { size, ranges }: { size: number; ranges: Ranges },
): Promise<RepeatResult> {
  const row = randomRow(inputs, { size, kind: { scale: 1 }, ranges, random: randomFrom(SEED) });
  const endAt = performance.now() + REPEAT_MS;
  const first = await run(row);
  let runs = 1;
  do {
    const name = firstChange(first, await run(row));
    runs += 1;
    if (name !== undefined)
      return { deterministic: false, reason: `its output "${name}" changes between runs of the same input` };
  } while (runs < REPEATS && performance.now() < endAt);
  return {
    deterministic: true,
    reason: `no operator draws random numbers, and ${runs} runs of one input gave the same`,
  };
}
