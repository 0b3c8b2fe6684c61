/**
 * Slows down callers that are refused again and again. An answer of 401 costs the API as much as many a good one, and a
 * client that waits for the one before it sends no more of them than the pace allows.
 */

/** Refusals of a second that go out at once, in a process. */
const AT_ONCE = 50;
const HOLD_MS = 250;
/** Refusals held at a time. The memory of more would cost more than their answers. */
const HELD_MAX = 10_000;

export class RefusalPace {
  #second = 0;
  #count = 0;
  #held = 0;

  /** Calls `refuse` at once while refusals are rare, and after a quarter of a second while they are many. */
  run(refuse: () => void): void {
    const second = Math.floor(performance.now() / 1_000);
    if (second !== this.#second) {
      this.#second = second;
      this.#count = 0;
    }
    this.#count += 1;
    if (this.#count <= AT_ONCE || this.#held >= HELD_MAX) refuse();
    else this.#hold(refuse);
  }

  #hold(refuse: () => void): void {
    this.#held += 1;
    setTimeout(() => {
      this.#held -= 1;
      refuse();
    }, HOLD_MS);
  }
}
