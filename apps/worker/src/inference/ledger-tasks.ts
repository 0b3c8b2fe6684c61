/**
 * Reads the large tasks of taken promises from the ledger: their live states name the ledger (predictions/ledger-task.ts in shared). A
 * promise whose task cannot be read now goes back to the ledger: its live state is discarded, and the reconciler restores the promise when Postgres
 * responds.
 */
import { Batcher } from '@millrace/shared/batching/batcher';
import { UNREADABLE_TASK } from '@millrace/shared/live/end-errors';
import type { Taken } from '@millrace/shared/live/store';
import { bytesInLedger } from '@millrace/shared/predictions/ledger-task';
import { readTask, type Task } from '@millrace/shared/predictions/task';
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

export interface TasksRead {
  tasks: Map<Taken, Task>;
  /** The predictions without a readable task. */
  unreadable: Unreadable[];
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
  readonly #reads: Batcher<Read, Task | null | undefined>;
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
        const texts = await withTimeout(LIMIT_MS, reading, 'The read of inputs from the ledger');
        const tasks: (Task | null | undefined)[] = [];
        for (const { id } of reads) {
          const text = texts.get(id);
          tasks.push(typeof text === 'string' ? readTask(text) : text);
          // Four megabytes of text take up to 20 ms.
          await new Promise(setImmediate);
        }
        return tasks;
      },
      maxItems: TASKS_AT_ONCE,
      bytesOf: ({ bytes }) => bytes,
      maxBytes: BYTES_AT_ONCE,
      concurrency: AT_ONCE,
      fullConcurrency: AT_ONCE,
      failsAll: () => true,
    });
  }

  /** Reads the tasks of the promises whose live states name the ledger; undefined where there is none. */
  read(taken: readonly Taken[]): Promise<TasksRead> | undefined {
    const named = taken.filter(({ task }) => bytesInLedger(task) !== undefined);
    return named.length === 0 ? undefined : this.#read(named);
  }

  async #read(named: readonly Taken[]): Promise<TasksRead> {
    const tasks = new Map<Taken, Task>();
    if (performance.now() < this.#restsUntil) return { tasks, unreadable: named.map((taken) => ({ taken })) };
    const unreadable: Unreadable[] = [];
    try {
      await Promise.all(named.map((taken) => this.#readOne(taken, { tasks, unreadable })));
      return { tasks, unreadable };
    } catch (error) {
      this.#restsUntil = performance.now() + REST_MS;
      this.#log.warn({ err: error, predictions: named.length }, RETURNED);
      const judged = new Set(unreadable.map(({ taken }) => taken));
      const left = named.filter((taken) => !judged.has(taken) && !tasks.has(taken));
      // Copies, because a statement in progress may read further predictions.
      return { tasks: new Map(tasks), unreadable: [...unreadable, ...left.map((taken) => ({ taken }))] };
    }
  }

  async #readOne(taken: Taken, { tasks, unreadable }: TasksRead): Promise<void> {
    const task = await this.#reads.add({ id: taken.id, bytes: bytesInLedger(taken.task) ?? 0 });
    if (task === null) unreadable.push({ taken, reason: ENDED });
    // A failover of Postgres can lose a commit. Nobody else has the input.
    else if (task === undefined) unreadable.push({ taken, reason: LOST, error: UNREADABLE_TASK });
    else tasks.set(taken, task);
  }
}
