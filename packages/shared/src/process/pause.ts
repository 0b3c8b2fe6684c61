/**
 * A pause before work that nobody waits for. A process that writes to Redis for the work alone wakes Redis, and the reply wakes the
 * process. After the pause the work shares both wake-ups with the next work.
 */
import { afterMicrotasks } from './turn.ts';

export class Pause {
  readonly #mostMs: number;
  #ended: (() => void)[] = [];
  #timer: NodeJS.Timeout | undefined;
  #endsSoon = false;

  /** `mostMs`: a pause takes at most this time. */
  constructor(mostMs: number) {
    this.#mostMs = mostMs;
  }

  /** Resolves at the end of the pause. All callers of `start` since the last end share a pause. */
  start(): Promise<void> {
    return new Promise((resolve) => {
      this.#ended.push(resolve);
      this.#timer ??= setTimeout(() => this.end(), this.#mostMs);
    });
  }

  /** Ends a pause now. */
  end(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    for (const resolve of this.#ended.splice(0)) resolve();
  }

  /** Ends a pause in the next phase of the event loop, after everything that this turn has set for that phase. */
  endAfterTurn(): void {
    if (this.#ended.length === 0 || this.#endsSoon) return;
    this.#endsSoon = true;
    afterMicrotasks(() =>
      setImmediate(() => {
        this.#endsSoon = false;
        this.end();
      }),
    );
  }
}
