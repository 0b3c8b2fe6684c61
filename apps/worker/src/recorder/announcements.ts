/**
 * Decides which ends the reconciler tells the recorder again: those whose entry has left the recorder's stream although the
 * ledger does not have them. An end and its entry are written by one script, so the entry was there when the end was first
 * seen, and is gone once the stream begins behind the id that was the last one then. No clock takes part.
 */
import { isPast, type StreamSpan } from './lag.ts';

/** Ends that are remembered: beyond so many the oldest are forgotten, and are then told later. */
const KNOWN_MAX = 50_000;
/** An end that the ledger refuses each time is told more and more rarely: after 1, 2, 4 ... passes. */
const PASSES_MAX = 256;

interface Known {
  /** Id of the last entry of the stream when the end was seen, or was told again. */
  last: string;
  /** Passes to leave out before the end may be told again, and how many that will be the next time. */
  wait: number;
  next: number;
}

export class Announcements {
  readonly #known = new Map<string, Known>();

  /** Whether the end of `id` is to be told again now. `span` was read before the end was. */
  due(id: string, span: StreamSpan, isSetAside: boolean): boolean {
    const known = this.#known.get(id);
    if (known === undefined || isSetAside) return false;
    if (known.wait > 0) {
      known.wait -= 1;
      return false;
    }
    return isPast(span, known.last);
  }

  /** An end that the ledger does not have was seen, and told again if `told`; `span` was read after that. */
  saw(id: string, span: StreamSpan, told: boolean): void {
    const known = this.#known.get(id);
    if (known === undefined) {
      this.#known.set(id, { last: span.last, wait: 0, next: 1 });
      if (this.#known.size > KNOWN_MAX) this.#known.delete(this.#known.keys().next().value as string);
    } else if (told) {
      this.#known.set(id, { last: span.last, wait: known.next, next: Math.min(known.next * 2, PASSES_MAX) });
    }
  }

  /** The prediction is open in Redis too, or unknown there. */
  forget(id: string): void {
    this.#known.delete(id);
  }
}
