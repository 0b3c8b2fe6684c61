/**
 * The numbers that new predictions will get in the queues of their models, as far as this process can know. submit.lua assigns the
 * numbers. A state that has its number already is written as it arrived: to put the number before the state, the script would copy
 * and hash the whole state. Where another process submits too, the script corrects the number.
 */

/** More queues than a process uses. After more queues the process knows no number, until the next replies. */
const QUEUES_MAX = 1_000;
/** The largest number of ten digits. */
const NUMBER_MAX = 9_999_999_999;

interface Queue {
  /** The number of the next prediction. */
  next: number;
  /** How many numbers this process has ever expected. */
  given: number;
}

/** The numbers of one submission. */
export interface Expected {
  first: number;
  /** Receives the number of predictions that had entered the queue after the submission. */
  entered(total: number): void;
}

export class ExpectedNumbers {
  readonly #queues = new Map<string, Queue>();

  /** Expects `count` consecutive numbers. `queue` names the model and the priority. */
  take(queue: string, count: number): Expected {
    if (this.#queues.size >= QUEUES_MAX && !this.#queues.has(queue)) this.#queues.clear();
    const one = this.#queues.get(queue) ?? { next: 1, given: 0 };
    this.#queues.set(queue, one);
    const first = one.next + count <= NUMBER_MAX ? one.next : 1;
    one.next = first + count;
    one.given += count;
    const { given } = one;
    const entered = (total: number) => {
      // The predictions that this process has sent since come after these predictions.
      const next = total + 1 + one.given - given;
      one.next = Number.isInteger(next) && next > 0 ? next : 1;
    };
    return { first, entered };
  }
}
