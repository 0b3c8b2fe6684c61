/** Keeps what admission needs to know of each model's queue and of Redis, a moment old at most, off the fast path. */

import type { LiveStore, QueueCounts } from '@millrace/shared/live/store';
import { sharedNow } from '@millrace/shared/postgres/clock';
import { DrainRate, type Load } from './admission.ts';

/**
 * While everything is refused nothing goes in that would bring counts with it, and the queue drains meanwhile: with counts half
 * a second old a short queue stood empty for a third of the time under overload.
 */
const REFRESH_MS = 50;
const NOTHING: QueueCounts = { entered: {}, left: {} };

interface Known {
  counts: QueueCounts;
  rate: DrainRate;
  /** From the take of a prediction to its end: a mean in which each new run has a tenth. */
  runMs: number | undefined;
  at: number;
  refreshing: boolean;
}

export class LoadWatch {
  readonly #live: Pick<LiveStore, 'counts'>;
  readonly #readMemoryShare: () => Promise<number>;
  readonly #known = new Map<string, Known>();
  #memory = { share: 0, at: 0, refreshing: false };

  constructor(live: Pick<LiveStore, 'counts'>, readMemoryShare: () => Promise<number>) {
    this.#live = live;
    this.#readMemoryShare = readMemoryShare;
  }

  #of(model: string): Known {
    let known = this.#known.get(model);
    if (!known) {
      known = { counts: NOTHING, rate: new DrainRate(), runMs: undefined, at: 0, refreshing: false };
      this.#known.set(model, known);
    }
    return known;
  }

  /** Counts that came with something else. */
  observe(model: string, counts: QueueCounts, nowMs: number): void {
    const known = this.#of(model);
    known.counts = counts;
    known.at = nowMs;
    known.rate.observe(counts, nowMs);
  }

  /** A prediction of the model ended `ms` after a worker had taken it. */
  observeRun(model: string, ms: number): void {
    const known = this.#of(model);
    known.runMs = known.runMs === undefined ? ms : known.runMs + (ms - known.runMs) / 10;
  }

  /** What is known now; asks for news behind the caller's back when it is old. */
  current(model: string, nowMs: number): Load {
    const known = this.#of(model);
    if (Math.abs(nowMs - known.at) > REFRESH_MS && !known.refreshing) {
      known.refreshing = true;
      this.#live
        .counts(model)
        .then((counts) => this.observe(model, counts, sharedNow()))
        .catch(() => {})
        .finally(() => {
          known.refreshing = false;
        });
    }
    const memory = this.#memory;
    if (Math.abs(nowMs - memory.at) > 1_000 && !memory.refreshing) {
      memory.refreshing = true;
      this.#readMemoryShare()
        .then((share) => {
          memory.share = share;
        })
        .catch(() => {})
        .finally(() => {
          memory.at = sharedNow();
          memory.refreshing = false;
        });
    }
    return { counts: known.counts, perMs: known.rate.perMs, runMs: known.runMs, memoryShare: memory.share };
  }
}
