/**
 * Slows down callers that are refused again and again. An answer of 401 costs the API as much as many a good one, and a
 * client that waits for the one before it sends no more of them than the pace allows.
 */

/** Refusals of a second that go out at once, in a process. */
const AT_ONCE = 50;
const HOLD_MS = 250;
/** Refusals held at a time. The memory of more would cost more than their answers. */
const HELD_MAX = 10_000;
/** Held refusals that go out in one turn of the event loop: 10,000 in one turn would hold the other callers for a second. */
const OF_TURN = 20;
const BETWEEN_TURNS_MS = 5;

interface Held {
  /** On the monotonic clock. */
  dueMs: number;
  refuse: () => void;
}

export class RefusalPace {
  #second = 0;
  #count = 0;
  /** In the order in which they are due. Those before `#next` are gone. */
  #held: Held[] = [];
  #next = 0;

  /** Calls `refuse` at once while refusals are rare, and after a quarter of a second or more while they are many. */
  run(refuse: () => void): void {
    const now = performance.now();
    const second = Math.floor(now / 1_000);
    if (second !== this.#second) {
      this.#second = second;
      this.#count = 0;
    }
    this.#count += 1;
    const held = this.#held.length - this.#next;
    if (this.#count <= AT_ONCE || held >= HELD_MAX) {
      refuse();
      return;
    }
    this.#held.push({ dueMs: now + HOLD_MS, refuse });
    if (held === 0) setTimeout(() => this.#release(), HOLD_MS);
  }

  #release(): void {
    const now = performance.now();
    for (let n = 0; n < OF_TURN; n += 1) {
      const first = this.#held[this.#next];
      // A timer may fire up to a millisecond early.
      if (first === undefined || first.dueMs > now + 1) break;
      this.#next += 1;
      first.refuse();
    }
    if (this.#next >= HELD_MAX || this.#next === this.#held.length) {
      this.#held = this.#held.slice(this.#next);
      this.#next = 0;
    }
    const following = this.#held[this.#next];
    if (following) setTimeout(() => this.#release(), Math.max(BETWEEN_TURNS_MS, following.dueMs - now));
  }
}
