/**
 * Reads the large tasks of taken promises from the ledger: their live states name the ledger (predictions/ledger-task.ts in shared). A
 * promise whose task cannot be read now goes back to the ledger: its live state is discarded, and the reconciler restores the promise when Postgres
 * responds.
 */
import { Batcher } from '@millrace/shared/batching/batcher';
import { UNREADABLE_TASK } from '@millrace/shared/live/end-errors';
import type { Taken } from '@millrace/shared/live/store';
import { bytesInLedger } from '@millrace/shared/predictions/ledger-task';
import { readTask } from '@millrace/shared/predictions/task';
import { withTimeout } from '@millrace/shared/process/timeout';
import type { Logger } from 'pino';
import type { Unreadable } from './work.ts';

/** The most connections of the worker's pool that read tasks: the recorder needs the others. */
const AT_ONCE = 2;
const TASKS_AT_ONCE = 64;
/** The most bytes of the tasks in one statement. A larger task is read alone. */
const BYTES_AT_ONCE = 16 * 1_048_576;
/** The most time of one statement. A run waits for the statement. */
const LIMIT_MS = 5_000;
/** After a failure no task is read for this time, so that runs with other predictions do not wait for Postgres again. */
const REST_MS = 5_000;

const RETURNED = 'the ledger does not respond: its promises with large inputs are restored later';
const ENDED = 'the ledger has no task of a prediction, which has ended there: its live state is discarded';
const LOST = 'the ledger has lost the input of a promise: the prediction fails';

interface Read {
  id: string;
  bytes: number;
}

export interface LedgerTasksDeps {
  /** Reads the JSON text of tasks, by id; null for a row without a task. */
  readTasks(ids: readonly string[]): Promise<ReadonlyMap<string, string | null>>;
  log: Logger;
}

export class LedgerTasks {
  readonly #log: Logger;
  readonly #reads: Batcher<Read, string | null | undefined>;
  #restsUntil = Number.NEGATIVE_INFINITY;

  constructor({ readTasks, log }: LedgerTasksDeps) {
    this.#log = log;
    this.#reads = new Batcher({
      run: async (reads) => {
        const tasks = await withTimeout(
          LIMIT_MS,
          readTasks(reads.map(({ id }) => id)),
          'The read of inputs from the ledger',
        );
        return reads.map(({ id }) => tasks.get(id));
      },
      maxItems: TASKS_AT_ONCE,
      bytesOf: ({ bytes }) => bytes,
      maxBytes: BYTES_AT_ONCE,
      concurrency: AT_ONCE,
      fullConcurrency: AT_ONCE,
      failsAll: () => true,
    });
  }

  /**
   * Puts the task of each promise in place of its name. Resolves to the predictions without a readable task; undefined where no live state names
   * the ledger.
   */
  fill(taken: readonly Taken[]): Promise<Unreadable[]> | undefined {
    const named = taken.filter(({ task }) => bytesInLedger(task) !== undefined);
    return named.length === 0 ? undefined : this.#fill(named);
  }

  async #fill(named: readonly Taken[]): Promise<Unreadable[]> {
    if (performance.now() < this.#restsUntil) return named.map((taken) => ({ taken }));
    try {
      const filled = await Promise.all(named.map((taken) => this.#fillOne(taken)));
      return filled.filter((unreadable) => unreadable !== undefined);
    } catch (error) {
      this.#restsUntil = performance.now() + REST_MS;
      this.#log.warn({ err: error, predictions: named.length }, RETURNED);
      return named.filter(({ task }) => bytesInLedger(task) !== undefined).map((taken) => ({ taken }));
    }
  }

  async #fillOne(taken: Taken): Promise<Unreadable | undefined> {
    const { id, task } = taken;
    const text = await this.#reads.add({ id, bytes: bytesInLedger(task) ?? 0 });
    if (text === null) return { taken, reason: ENDED };
    // A failover of Postgres can lose a commit. Nobody else has the input.
    if (text === undefined || readTask(text) === undefined) return { taken, reason: LOST, error: UNREADABLE_TASK };
    taken.task = text;
    return undefined;
  }
}
