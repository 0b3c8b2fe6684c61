/** Keeps what admission needs to know of each model's queue and of Redis, a moment old at most, off the fast path. */

import type { LiveStore, QueueCounts } from '@millrace/shared/live/store';
import { sharedNow } from '@millrace/shared/postgres/clock';
import type { QueueMemory } from '@millrace/shared/queue/output-sizes';
import { DrainRate, type Load, waitingOf } from './admission.ts';

/**
 * While everything is refused nothing goes in that would bring counts with it, and the queue drains meanwhile: with counts half
 * a second old a short queue stood empty for a third of the time under overload.
 */
const REFRESH_MS = 50;
/** Memory is looked at this often, and more often from TIGHT_SHARE on: a few large outputs fill it within a second. */
const MEMORY_MS = 1_000;
const TIGHT_MEMORY_MS = 100;
const TIGHT_SHARE = 0.35;
const NOTHING: QueueCounts = { entered: {}, left: {} };

interface Known {
  counts: QueueCounts;
  rate: DrainRate;
  /** From the take of a prediction to its end: a mean in which each new run has a tenth. */
  runMs: number | undefined;
  /** Mean bytes of an output; 0 while none was measured. */
  outputBytes: number;
  /** What its waiting predictions add to the bytes that are reserved. */
  reservedBytes: number;
  at: number;
  refreshing: boolean;
}

export class QueueLoad {
  readonly #live: Pick<LiveStore, 'counts'>;
  readonly #readMemory: () => Promise<QueueMemory>;
  readonly #known = new Map<string, Known>();
  /** Bytes of the outputs that waiting predictions of all models will have. */
  #reservedBytes = 0;
  #memory = { share: 0, limitBytes: 0, at: 0, refreshing: false };

  constructor(live: Pick<LiveStore, 'counts'>, readMemory: () => Promise<QueueMemory>) {
    this.#live = live;
    this.#readMemory = readMemory;
  }

  #of(model: string): Known {
    let known = this.#known.get(model);
    if (!known) {
      known = {
        counts: NOTHING,
        rate: new DrainRate(),
        runMs: undefined,
        outputBytes: 0,
        reservedBytes: 0,
        at: 0,
        refreshing: false,
      };
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
    if (known.outputBytes > 0) this.#reserve(known, waitingOf(counts));
  }

  #reserve(known: Known, waiting: number): void {
    const bytes = waiting * known.outputBytes;
    this.#reservedBytes += bytes - known.reservedBytes;
    known.reservedBytes = bytes;
  }

  /** What waits for all models, those included that only other processes are asked about. */
  #observeMemory({ share, limitBytes, outputs }: QueueMemory): void {
    this.#memory.share = share;
    this.#memory.limitBytes = limitBytes;
    for (const { model, waiting, bytes } of outputs) {
      const known = this.#of(model);
      known.outputBytes = bytes;
      this.#reserve(known, waiting);
    }
  }

  #shareOf(bytes: number): number {
    return this.#memory.limitBytes > 0 ? bytes / this.#memory.limitBytes : 0;
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
    const reservedShare = this.#shareOf(this.#reservedBytes);
    const everyMs = memory.share + reservedShare >= TIGHT_SHARE ? TIGHT_MEMORY_MS : MEMORY_MS;
    if (Math.abs(nowMs - memory.at) > everyMs && !memory.refreshing) {
      memory.refreshing = true;
      this.#readMemory()
        .then((read) => this.#observeMemory(read))
        .catch(() => {})
        .finally(() => {
          memory.at = sharedNow();
          memory.refreshing = false;
        });
    }
    return {
      counts: known.counts,
      perMs: known.rate.perMs,
      runMs: known.runMs,
      memoryShare: memory.share,
      reservedShare,
      outputShare: this.#shareOf(known.outputBytes),
    };
  }
}
