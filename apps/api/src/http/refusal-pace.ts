/**
 * Slows down callers that are refused again and again. A 401 response costs the API as much as many successful responses.
 * A client that waits for each response sends no more requests than the pace allows.
 */

/** The refusals per second that a process sends without delay. */
const AT_ONCE = 50;
const HOLD_MS = 250;
/** The most refusals that are held. Beyond this number, the memory would cost more than the responses. */
const HELD_MAX = 10_000;
/** The held refusals that one turn of the event loop sends. 10,000 in one turn would delay other callers by a second. */
const PER_TURN = 20;
const BETWEEN_TURNS_MS = 5;

interface Held {
  /** On the monotonic clock. */
  dueMs: number;
  refuse: () => void;
}

export class RefusalPace {
  #second = 0;
  #count = 0;
  /** In the order of `dueMs`. The refusals before `#next` are sent. */
  #held: Held[] = [];
  #next = 0;

  /** Calls `refuse` at once while refusals are rare, and after at least a quarter of a second while refusals are frequent. */
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
    for (let n = 0; n < PER_TURN; n += 1) {
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
