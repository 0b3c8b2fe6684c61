/**
 * Bounds the inputs of open promises that only Postgres has (predictions/ledger-task.ts in shared). The memory of the queue Redis bounds all
 * other work.
 */
import { ApiError } from '@millrace/shared/errors';
import { LEDGER_TASK_BYTES } from '@millrace/shared/predictions/ledger-task';
import type { Logger } from 'pino';

/** The sum of Postgres is read at most this often, */
const READ_EVERY_MS = 1_000;
/** and rarely enough to take at most a twentieth of the time: the statement reads every open promise. */
const READ_PART = 20;
const RETRY_AFTER_S = 5;

export interface PromisedInputsParams {
  limitBytes: number;
  /** The bytes of the tasks of LEDGER_TASK_BYTES or more of all open promises. */
  readBytes(): Promise<number>;
  /** Receives the model of each refused request. */
  onRefused(model: string): void;
  log: Logger;
}

export class PromisedInputs {
  readonly #params: PromisedInputsParams;
  /** The last sum of Postgres, and #committed at the start of its read. */
  #read = { bytes: 0, committed: 0 };
  #reading: Promise<void> | undefined;
  #nextReadAt = Number.NEGATIVE_INFINITY;
  /** Bytes that this process has ever committed. */
  #committed = 0;
  #inProgress = 0;

  constructor(params: PromisedInputsParams) {
    this.#params = params;
  }

  /** The bytes in Postgres, as far as this process knows. Other processes count from the next read on. */
  get bytes(): number {
    return this.#read.bytes + this.#committed - this.#read.committed + this.#inProgress;
  }

  /**
   * Rejects with `queue_full` when there is no room for the task of a promise. A task is never refused alone, and never by a sum that is
   * to be read again.
   */
  async check({ task, model }: { task: string; model: string }): Promise<void> {
    if (task.length < LEDGER_TASK_BYTES) return;
    if (performance.now() >= this.#nextReadAt) this.#reading ??= this.#readBytes();
    if (this.#hasRoom(task)) return;
    await this.#reading;
    if (this.#hasRoom(task)) return;
    const { limitBytes, onRefused } = this.#params;
    const { bytes } = this;
    onRefused(model);
    const megabytes = (count: number) => Math.round(count / 1_048_576).toLocaleString('en');
    throw new ApiError(
      'queue_full',
      `The large inputs of open predictions take ${megabytes(bytes)} MB in Postgres, and ${megabytes(limitBytes)} MB are allowed. Send the request again later, or wait for its result with Prefer: wait.`,
      { retryAfterS: RETRY_AFTER_S },
    );
  }

  /** Calls `commit`, and counts the task. */
  async counted({ task }: { task: string }, commit: () => Promise<void>): Promise<void> {
    if (task.length < LEDGER_TASK_BYTES) return commit();
    this.#inProgress += task.length;
    try {
      await commit();
      this.#committed += task.length;
    } finally {
      this.#inProgress -= task.length;
    }
  }

  #hasRoom({ length }: string): boolean {
    const { bytes } = this;
    return bytes === 0 || bytes + length <= this.#params.limitBytes;
  }

  /** A failed read changes nothing: the next request after READ_EVERY_MS reads again. */
  async #readBytes(): Promise<void> {
    const startedAt = performance.now();
    const committed = this.#committed;
    try {
      this.#read = { bytes: await this.#params.readBytes(), committed };
    } catch (error) {
      this.#params.log.debug({ err: error }, 'the inputs of open promises cannot be counted');
    }
    const now = performance.now();
    this.#nextReadAt = now + Math.max(READ_EVERY_MS, READ_PART * (now - startedAt));
    this.#reading = undefined;
  }
}
