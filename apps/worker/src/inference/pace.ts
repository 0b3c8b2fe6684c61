/** Measures how fast this worker computes the rows of one model. Counts only the time during which a run of the model is active. */

/** The weight of older runs halves after this much busy time. */
const HALF_LIFE_MS = 2_000;
/** A worker holds as many rows as it computes in this time, by the measured pace. Half of them come with the last job. */
const HOLD_MS = 1_000;
/** A run of the dispatcher takes at most this time by the measured pace, or the time of one full micro-batch. */
const RUN_MS = 100;
/** Rows of lower priority can fill a micro-batch when a full micro-batch takes at most this time. */
const FILL_MS = 20;

export class Pace {
  #rows = 0;
  #ms = 0;
  #underWay = 0;
  #since = 0;

  /** Notes the start of a run. `nowMs` is the monotonic clock. */
  begin(nowMs: number): void {
    if (this.#underWay === 0) this.#since = nowMs;
    this.#underWay += 1;
  }

  /** Notes the end of a run that computed `rows` rows. A run without rows (all were canceled) does not change the pace. */
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
   * The number of waiting rows at which this worker takes no more jobs, and the most rows that it keeps of one job. Both are half a
   * second of work, or one full micro-batch of `maxBatch` rows, so that the engines stay busy while a job is fetched.
   */
  holdRows(maxBatch: number): number {
    return Math.max(maxBatch, this.#rowsIn(HOLD_MS / 2));
  }

  /** Most rows of one caller that one run takes. */
  runRows(maxBatch: number): number {
    return Math.max(maxBatch, this.#rowsIn(RUN_MS));
  }

  /** Whether a full micro-batch is so short that rows of lower priority can join rows of higher priority. */
  fills(maxBatch: number): boolean {
    return this.#rowsIn(FILL_MS) >= maxBatch;
  }
}
