/** How fast this worker computes the rows of one model, measured over the time in which the model has a run under way. */

/** The weight of older runs halves after this much busy time. */
const HALF_LIFE_MS = 2_000;
/** A worker holds rows for this long, by the measured pace: half of them come with the last job. */
const HOLD_MS = 1_000;
/** One run of the dispatcher takes no longer than this by the measured pace, if a full micro-batch does not. */
const RUN_MS = 100;
/** A full micro-batch that takes no longer than this may be filled up with rows of lower priority. */
const FILL_MS = 20;

export class Pace {
  #rows = 0;
  #ms = 0;
  #underWay = 0;
  #since = 0;

  /** A run begins; `nowMs` is a monotonic clock. */
  begin(nowMs: number): void {
    if (this.#underWay === 0) this.#since = nowMs;
    this.#underWay += 1;
  }

  /** A run ends that computed `rows` rows. A run without any (all were cancelled) tells nothing of the model. */
  end(rows: number, nowMs: number): void {
    const ms = Math.max(0, nowMs - this.#since);
    this.#underWay -= 1;
    this.#since = nowMs;
    if (rows === 0) return;
    const keep = 0.5 ** (ms / HALF_LIFE_MS);
    this.#rows = this.#rows * keep + rows;
    this.#ms = this.#ms * keep + ms;
  }

  /** Rows per millisecond; undefined until a run has ended. */
  get rowsPerMs(): number | undefined {
    return this.#rows === 0 ? undefined : this.#rows / Math.max(this.#ms, 0.01);
  }

  #rowsIn(ms: number): number {
    return Math.floor((this.rowsPerMs ?? 0) * ms);
  }

  /**
   * Rows that wait in this worker from which on it takes no more jobs, and the most that it keeps of one job: half a second
   * of work each, or one full micro-batch of `maxBatch` rows, so that the engines stay busy while a job is fetched.
   */
  holdRows(maxBatch: number): number {
    return Math.max(maxBatch, this.#rowsIn(HOLD_MS / 2));
  }

  /** Most rows of one caller that one run takes. */
  runRows(maxBatch: number): number {
    return Math.max(maxBatch, this.#rowsIn(RUN_MS));
  }

  /** Whether a full micro-batch is so short that rows of lower priority may join rows of higher priority. */
  fills(maxBatch: number): boolean {
    return this.#rowsIn(FILL_MS) >= maxBatch;
  }
}
