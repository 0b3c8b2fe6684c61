/**
 * Decides which ends the reconciler announces to the recorder again: ends whose entry has left the recorder's stream although the
 * ledger does not have the ends. A single script writes an end and its entry, so the entry existed when the end was first seen.
 * The entry is gone when the stream begins after the id that was the last id at that time. The decision uses no clock.
 */
import { isPast, type StreamSpan } from '@millrace/shared/live/ledger-stream';

/** Ends in memory. Beyond this number the oldest ends are dropped and announced later. */
const KNOWN_MAX = 50_000;
/** An end that the ledger always refuses is announced less and less often: after 1, 2, 4 ... passes, up to this number. */
const PASSES_MAX = 256;

interface Known {
  /** Id of the last entry of the stream when the end was seen or announced. */
  last: string;
  /** Passes to skip before the end may be announced again. */
  wait: number;
  /** Passes to skip after the next announcement. */
  next: number;
}

export class Announcements {
  readonly #known = new Map<string, Known>();

  /** Whether to announce the end of `id` now. `span` must be read before the end. */
  due(id: string, span: StreamSpan, isSetAside: boolean): boolean {
    const known = this.#known.get(id);
    if (known === undefined || isSetAside) return false;
    if (known.wait > 0) {
      known.wait -= 1;
      return false;
    }
    return isPast(span, known.last);
  }

  /** Notes an end that the ledger does not have, and whether the end was announced. `span` must be read after the announcement. */
  saw(id: string, span: StreamSpan, announced: boolean): void {
    const known = this.#known.get(id);
    if (known === undefined) {
      this.#known.set(id, { last: span.last, wait: 0, next: 1 });
      if (this.#known.size > KNOWN_MAX) {
        const [oldest = ''] = this.#known.keys();
        this.#known.delete(oldest);
      }
    } else if (announced) {
      this.#known.set(id, { last: span.last, wait: known.next, next: Math.min(known.next * 2, PASSES_MAX) });
    }
  }

  /** Drops a prediction that is open or unknown in Redis. */
  forget(id: string): void {
    this.#known.delete(id);
  }
}
