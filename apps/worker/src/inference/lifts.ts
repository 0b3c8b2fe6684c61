/**
 * Keeps raised priorities of predictions that this worker does not hold yet. The message of a raise and the job of the prediction use
 * two connections, so the message can arrive first.
 */
import type { Lift } from '@millrace/shared/queue/job';

const KEPT_MS = 5_000;
const KEPT_MAX = 1_000;

export class Lifts {
  /** By prediction id, in the order of their arrival. */
  readonly #kept = new Map<string, Lift & { atMs: number }>();

  add(lift: Lift, nowMs: number): void {
    for (const [id, { atMs }] of this.#kept) {
      if (nowMs - atMs < KEPT_MS && this.#kept.size < KEPT_MAX) break;
      this.#kept.delete(id);
    }
    this.#kept.delete(lift.id);
    this.#kept.set(lift.id, { ...lift, atMs: nowMs });
  }

  /** The lifts of predictions among `ids`. */
  among(ids: readonly string[]): Lift[] {
    if (this.#kept.size === 0) return [];
    return ids.flatMap((id) => this.#kept.get(id) ?? []);
  }
}
