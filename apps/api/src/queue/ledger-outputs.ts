/** Reads the outputs that live states only describe, because the ledger has the outputs: see ledger/staged-outputs.ts in shared. */
import { outputChecksum } from '@millrace/shared/cache/named-result';
import { readStagedOutput } from '@millrace/shared/ledger/staged-outputs';
import type { LivePrediction } from '@millrace/shared/live/store';
import type { Db } from '@millrace/shared/postgres/db';

/** Reads of this process at the same time: each read has the whole output in memory. */
const AT_ONCE = 4;

/**
 * Returns the prediction with its output. Returns null if the ledger does not have the output: the row of the ledger then decides,
 * as for a prediction that Redis does not have. Rejects with an OutputUnavailable when Postgres does not respond, or has another text.
 */
export type WithOutput = (state: LivePrediction) => Promise<LivePrediction | null>;

/** The output of a prediction that has succeeded cannot be read now. */
export class OutputUnavailable extends Error {}

export function createOutputReader(db: Db): WithOutput {
  const reader = new OutputReader(db);
  return async (state) => (state.ledgerOutput === undefined ? state : reader.read(state, state.ledgerOutput));
}

class OutputReader {
  readonly #db: Db;
  readonly #waiting: (() => void)[] = [];
  #reads = 0;

  constructor(db: Db) {
    this.#db = db;
  }

  async read(
    { ledgerOutput: _, ...state }: LivePrediction,
    expected: NonNullable<LivePrediction['ledgerOutput']>,
  ): Promise<LivePrediction | null> {
    while (this.#reads >= AT_ONCE) await new Promise<void>((resolve) => this.#waiting.push(resolve));
    this.#reads += 1;
    try {
      const run = { id: state.id, opening: state.opening, attempt: state.attempts };
      const output = await readStagedOutput(this.#db, run, expected).catch((error) => {
        throw new OutputUnavailable('Postgres does not respond', { cause: error });
      });
      if (output === undefined) return null;
      if ((await outputChecksum(output)) !== expected.checksum)
        throw new OutputUnavailable(`the ledger has another output for the prediction ${state.id}`);
      return { ...state, result: output };
    } finally {
      this.#reads -= 1;
      this.#waiting.shift()?.();
    }
  }
}
