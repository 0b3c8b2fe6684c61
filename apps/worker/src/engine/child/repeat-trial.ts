/** Finds by trial whether a model gives equal results for equal inputs. */
import type { TensorSpec } from '@millrace/shared/tensors/tensor';
import type { RepeatResult } from '../protocol/probe-request.ts';
import { firstChange } from './compare-outputs.ts';
import { type Ranges, randomFrom, randomRow } from './random-input.ts';
import type { RunTensors } from './row-trial.ts';

const REPEATS = 4;
const SEED = 11;
/** A slow model runs twice, and not more often. */
const REPEAT_MS = 2_000;

/** Runs one random row several times. Every bit of every output must be equal. */
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
