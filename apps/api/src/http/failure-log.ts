/**
 * How many failed requests of a second have a line of the log each. A line with its stack costs more than the response,
 * and callers without an API key can cause failures too: 4,000 lines in one turn would hold up all other callers.
 */
const LINES_OF_SECOND = 20;

export class FailureLog {
  #second = -1;
  #lines = 0;
  #leftOut = 0;

  /** Whether one more failure gets a line. Calls `tell` with the number of those that got none, when the second is over. */
  mayWrite(tell: (leftOut: number) => void): boolean {
    const second = Math.floor(performance.now() / 1_000);
    if (second !== this.#second) {
      this.#second = second;
      this.#lines = 0;
    }
    this.#lines += 1;
    if (this.#lines <= LINES_OF_SECOND) return true;
    if (this.#leftOut === 0) setTimeout(() => this.#tell(tell), 1_000).unref();
    this.#leftOut += 1;
    return false;
  }

  #tell(tell: (leftOut: number) => void): void {
    const leftOut = this.#leftOut;
    this.#leftOut = 0;
    tell(leftOut);
  }
}
