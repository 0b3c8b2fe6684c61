/**
 * The queues as they are now, for the last step of the history. The history has what a recorder noted, and a recorder that hangs
 * notes nothing: without this view its last note would look like the present.
 */
import { sharedNow } from '@millrace/shared/postgres/clock';
import { withTimeout } from '@millrace/shared/process/timeout';
import { type QueueReader, type QueueState, queueStates, sumOfQueues } from '@millrace/shared/queue/queue-state';
import { ALL } from '@millrace/shared/stats/stats-counts';

/** The history does not wait longer for the queue Redis. */
const LIMIT_MS = 500;
/** All views of a process read the queues at most once in this time. */
const KEPT_MS = 1_000;

/** The part of a point of the history that describes a queue. */
export interface PresentQueue {
  waiting: number;
  oldestMs: number | null;
}

export interface PresentQueuesDeps extends QueueReader {
  /** The names of all models. */
  models(): Promise<readonly string[]>;
}

type States = ReadonlyMap<string, QueueState>;

export class PresentQueues {
  readonly #deps: PresentQueuesDeps;
  #read: { at: number; states: Promise<States> } | undefined;

  constructor(deps: PresentQueuesDeps) {
    this.#deps = deps;
  }

  /** The state of each queue, and of all queues together under the name ALL. Empty where the queues cannot be read in time. */
  async read(): Promise<ReadonlyMap<string, PresentQueue>> {
    const states = await withTimeout(LIMIT_MS, this.#states(), 'The read of the queues').catch((): States => new Map());
    const nowMs = sharedNow();
    return new Map(
      [...states].map(([model, { waiting, since }]) => [
        model,
        { waiting, oldestMs: since === null ? null : Math.max(0, nowMs - since) },
      ]),
    );
  }

  #states(): Promise<States> {
    const at = performance.now();
    if (this.#read === undefined || at - this.#read.at > KEPT_MS) this.#read = { at, states: this.#readAll() };
    return this.#read.states;
  }

  async #readAll(): Promise<States> {
    const states = await queueStates(this.#deps, await this.#deps.models());
    return states.set(ALL, sumOfQueues(states));
  }
}
