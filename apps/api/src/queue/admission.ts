/** Decides, before anything is accepted, whether a prediction can be answered in time. No clock and no I/O. */
import type { QueueCounts } from '@millrace/shared/live/store';
import { BULL_PRIORITY, type Priority, type QueueEstimate } from '@millrace/shared/predictions/prediction';

/** Weight of the past in the drain rate halves in this time. */
const HALF_LIFE_MS = 5_000;
/** What one prediction is taken to need while no rate was measured yet. */
const GUESS_MS = 10;
/**
 * The furthest that is told. The rate of a queue that stands still halves on and on: within minutes what it promises lies
 * beyond the dates that can be written. A prediction lives no longer than this (`expires_in`).
 */
const FAR_MS = 604_800_000;
/** A rate that was measured goes no lower: at zero it would count as not measured, and a dead queue look like an idle one. */
const SLOWEST_PER_MS = 1 / FAR_MS;
const RETRY_AFTER_MAX_S = 3_600;

/** How fast a model's queue drains, from how many left it. An idle queue tells nothing of what it could do. */
export class DrainRate {
  #last: { left: number; waiting: number; atMs: number } | undefined;
  #perMs: number | undefined;

  observe(counts: QueueCounts, nowMs: number): void {
    const left = sum(counts.left);
    const waiting = sum(counts.entered) - left;
    const last = this.#last;
    const sinceMs = last ? nowMs - last.atMs : 0;
    // A clock that was set back is no reason to wait until it is there again.
    if (last && sinceMs >= 0 && sinceMs < 100) return;
    this.#last = { left, waiting, atMs: nowMs };
    if (!last || left < last.left || sinceMs <= 0) return;
    const perMs = (left - last.left) / sinceMs;
    const busy = last.waiting > 0 && waiting > 0;
    if (this.#perMs === undefined) {
      if (busy) this.#perMs = perMs;
    } else if (busy || perMs > this.#perMs) {
      const keep = 0.5 ** (sinceMs / HALF_LIFE_MS);
      const next = this.#perMs * keep + perMs * (1 - keep);
      this.#perMs = this.#perMs > 0 ? Math.max(next, SLOWEST_PER_MS) : next;
    }
  }

  /** Predictions per millisecond; undefined while nothing was measured. */
  get perMs(): number | undefined {
    return this.#perMs && this.#perMs > 0 ? this.#perMs : undefined;
  }
}

const PRIORITIES = Object.values(BULL_PRIORITY);

// Several times a request: walking over the object's own keys took a hundredth of the API's time.
function sum(counts: Record<number, number>): number {
  let total = 0;
  for (const priority of PRIORITIES) total += counts[priority] ?? 0;
  return total;
}

/** How many predictions ever entered. */
export const enteredOf = ({ entered }: QueueCounts): number => sum(entered);

/** How many predictions wait in all. */
export function waitingOf(counts: QueueCounts): number {
  return Math.max(0, sum(counts.entered) - sum(counts.left));
}

/** How many go before one of this priority; `number` is its own in its priority, or undefined for a newcomer. */
export function aheadOf(counts: QueueCounts, priority: number, number?: number): number {
  let ahead = 0;
  for (const other of Object.values(BULL_PRIORITY)) {
    const entered = other === priority && number !== undefined ? number - 1 : (counts.entered[other] ?? 0);
    if (other <= priority) ahead += Math.max(0, entered - (counts.left[other] ?? 0));
  }
  return ahead;
}

/**
 * Position (1 is next), and when it will start and be done if things go on as they did. Times in Unix ms. Predictions that a
 * worker holds and has not begun count as waiting; the work that engines have begun is part of the measured run time.
 */
export function estimate(ahead: number, load: Pick<Load, 'perMs' | 'runMs'>, nowMs: number): QueueEstimate {
  const each = load.perMs === undefined ? GUESS_MS : Math.min(1 / load.perMs, FAR_MS);
  const startMs = Math.min(ahead * each, FAR_MS);
  return {
    position: ahead + 1,
    estimatedStartAt: Math.round(nowMs + startMs),
    estimatedCompletionAt: Math.round(nowMs + Math.min(startMs + (load.runMs ?? each), FAR_MS)),
  };
}

export type Verdict =
  | { admitted: true }
  | { admitted: false; code: 'queue_full' | 'deadline_unreachable'; detail: string; retryAfterS: number };

export interface Limits {
  /** Most predictions that may wait for a model. */
  maxQueue: number;
  /** Share of the queue Redis memory, 0 to 1, at which new work is refused. */
  maxMemoryShare: number;
}

export interface Load {
  counts: QueueCounts;
  /** Predictions that leave the queue per millisecond; undefined while nothing was measured. */
  perMs: number | undefined;
  /** From the take of a prediction by a worker to its end, ms; undefined while nothing was measured. */
  runMs?: number | undefined;
  /** Part of the memory of the queue Redis that is in use, 0 to 1; of a cluster, of the server that has the model's keys. */
  memoryShare: number;
  /** Parts of this memory that the outputs of all waiting and running predictions will need, and one more output of the model. */
  reservedShare: number;
  outputShare: number;
}

/** `expiresInMs` is what the caller asked for; null when it named no deadline. */
export function admit(load: Load, limits: Limits, priority: Priority, expiresInMs: number | null): Verdict {
  const waiting = waitingOf(load.counts);
  const drainS = (count: number) =>
    Math.max(1, Math.min(RETRY_AFTER_MAX_S, Math.ceil(count / (load.perMs ?? 1 / GUESS_MS) / 1_000)));
  if (load.memoryShare >= limits.maxMemoryShare) {
    const percent = Math.round(load.memoryShare * 100);
    return refuse('queue_full', `The queue's memory is ${percent} % full.`, drainS(waiting / 10));
  }
  // While nothing waits or runs a prediction is taken, however large its output: it would be refused for ever.
  if (load.reservedShare > 0 && load.memoryShare + load.reservedShare + load.outputShare > limits.maxMemoryShare) {
    const used = Math.round(load.memoryShare * 100);
    const reserved = Math.round(load.reservedShare * 100);
    const detail = `The queue's memory is ${used} % full, and the outputs of waiting and running predictions need about ${reserved} % more. Repeat the request later.`;
    return refuse('queue_full', detail, drainS(waiting / 10));
  }
  if (waiting >= limits.maxQueue)
    return refuse(
      'queue_full',
      `${waiting} predictions wait for this model, which is as many as may.`,
      drainS(waiting - limits.maxQueue + 1),
    );
  if (expiresInMs !== null && load.perMs !== undefined) {
    // Without the measured run: one prediction of very many rows would have the deadlines of small ones refused.
    const needsMs = (aheadOf(load.counts, BULL_PRIORITY[priority]) + 1) / load.perMs;
    if (needsMs > expiresInMs) {
      const about = needsMs > FAR_MS ? 'more than a week' : `about ${Math.ceil(needsMs / 1000)} s`;
      const detail = `It would take ${about} to answer, and expires_in allows ${expiresInMs / 1000} s.`;
      const retryAfterS = Math.min(RETRY_AFTER_MAX_S, Math.ceil((needsMs - expiresInMs) / 1_000));
      return refuse('deadline_unreachable', detail, Math.max(1, retryAfterS));
    }
  }
  return { admitted: true };
}

const refuse = (code: 'queue_full' | 'deadline_unreachable', detail: string, retryAfterS: number): Verdict => ({
  admitted: false,
  code,
  detail,
  retryAfterS,
});
