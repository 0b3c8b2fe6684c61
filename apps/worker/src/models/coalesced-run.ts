/** Runs a task once at a time, however many callers request a run. */
import { setTimeout as delay } from 'node:timers/promises';

// Each of a thousand versions that become ready one after the other causes a read of all the others. A pause of REST times the
// duration follows each run.
const REST = 4;
const REST_MAX_MS = 1_000;
const SHORT_MS = 10;
/** A scan that read a file of many gigabytes must not delay the next model for minutes. */
const SCAN_REST_MAX_MS = 5_000;

/** The pause after a scan of the models folder that took `tookMs`: REST times the scan, within limits. */
export const pauseAfterScan = (scanMs: number, tookMs: number): number =>
  Math.max(scanMs, Math.min(REST * tookMs, SCAN_REST_MAX_MS));

export class CoalescedRun {
  readonly #task: () => Promise<void>;
  #running: Promise<void> | undefined;
  #next: Promise<void> | undefined;
  #restMs = 0;
  #closed = false;

  /** The task must not reject. */
  constructor(task: () => Promise<void>) {
    this.#task = task;
  }

  /**
   * Runs the task, or requests one more run for all callers during a run. Resolves when a run that began after the call has ended,
   * whatever the number of later calls.
   */
  request(): Promise<void> {
    if (this.#running === undefined) {
      this.#running = this.#run();
      return this.#running;
    }
    this.#next ??= this.#running
      .then(() => delay(this.#restMs, undefined, { ref: false }))
      .then(() => {
        this.#next = undefined;
        this.#running = this.#run();
        return this.#running;
      });
    return this.#next;
  }

  /** Ends the pauses between runs. */
  close(): void {
    this.#closed = true;
  }

  async #run(): Promise<void> {
    const started = performance.now();
    try {
      await this.#task();
    } finally {
      const tookMs = performance.now() - started;
      this.#restMs = this.#closed || tookMs < SHORT_MS ? 0 : Math.min(REST * tookMs, REST_MAX_MS);
      if (this.#next === undefined) this.#running = undefined;
    }
  }
}
