/**
 * The number of failed requests per second that get a line in the log. A line with a stack costs more than the response, and
 * callers without an API key can cause failures too: 4,000 lines in one turn of the event loop would delay all callers.
 */
const LINES_PER_SECOND = 20;

export class FailureLog {
  #second = -1;
  #lines = 0;
  #omitted = 0;

  /** Whether one more failure gets a line. Otherwise `report` receives the number of omitted failures after a second. */
  mayWrite(report: (omitted: number) => void): boolean {
    const second = Math.floor(performance.now() / 1_000);
    if (second !== this.#second) {
      this.#second = second;
      this.#lines = 0;
    }
    this.#lines += 1;
    if (this.#lines <= LINES_PER_SECOND) return true;
    if (this.#omitted === 0) setTimeout(() => this.#reportOmitted(report), 1_000).unref();
    this.#omitted += 1;
    return false;
  }

  #reportOmitted(report: (omitted: number) => void): void {
    const omitted = this.#omitted;
    this.#omitted = 0;
    report(omitted);
  }
}
