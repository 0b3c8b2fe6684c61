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
const STALE = 'Postgres had a row that the read of inputs did not find: the connection led to a standby';
const LOST = 'the ledger has lost the input of a promise: the prediction fails';

interface Read {
  id: string;
  bytes: number;
}

export interface LedgerTasksDeps {
  /** Reads the JSON text of tasks, by id; null for a row without a task. */
  readTasks(ids: readonly string[]): Promise<ReadonlyMap<string, string | null>>;
  /** Which of the rows the primary has. Rejects on a standby. */
  findOnPrimary(ids: readonly string[]): Promise<readonly string[]>;
  log: Logger;
}

export class LedgerTasks {
  readonly #log: Logger;
  readonly #reads: Batcher<Read, string | null | undefined>;
  #restsUntil = Number.NEGATIVE_INFINITY;

  constructor({ readTasks, findOnPrimary, log }: LedgerTasksDeps) {
    this.#log = log;
    const readAll = async (ids: readonly string[]) => {
      const tasks = await readTasks(ids);
      const missing = ids.filter((id) => !tasks.has(id));
      // A standby may not have a row yet that the primary has.
      if (missing.length > 0 && (await findOnPrimary(missing)).length > 0) throw new Error(STALE);
      return tasks;
    };
    this.#reads = new Batcher({
      run: async (reads) => {
        const reading = readAll(reads.map(({ id }) => id));
        const tasks = await withTimeout(LIMIT_MS, reading, 'The read of inputs from the ledger');
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
    const unreadable: Unreadable[] = [];
    try {
      await Promise.all(named.map((taken) => this.#fillOne(taken, unreadable)));
      return unreadable;
    } catch (error) {
      this.#restsUntil = performance.now() + REST_MS;
      this.#log.warn({ err: error, predictions: named.length }, RETURNED);
      const judged = new Set(unreadable.map(({ taken }) => taken));
      const left = named.filter((taken) => !judged.has(taken) && bytesInLedger(taken.task) !== undefined);
      // A copy, because a statement in progress may judge further predictions.
      return [...unreadable, ...left.map((taken) => ({ taken }))];
    }
  }

  async #fillOne(taken: Taken, unreadable: Unreadable[]): Promise<void> {
    const { id, task } = taken;
    const text = await this.#reads.add({ id, bytes: bytesInLedger(task) ?? 0 });
    if (text === null) unreadable.push({ taken, reason: ENDED });
    // A failover of Postgres can lose a commit. Nobody else has the input.
    else if (text === undefined || readTask(text) === undefined)
      unreadable.push({ taken, reason: LOST, error: UNREADABLE_TASK });
    else taken.task = text;
  }
}
