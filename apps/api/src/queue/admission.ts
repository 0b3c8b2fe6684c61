/** Decides whether the queue takes a new prediction, and estimates when the prediction completes. No clock and no I/O. */
import type { QueueCounts } from '@millrace/shared/live/store';
import { BULL_PRIORITY, type Priority, type QueueEstimate } from '@millrace/shared/predictions/prediction';

/** The weight of older samples in the drain rate halves in this time. */
const HALF_LIFE_MS = 5_000;
/** The assumed time of one prediction while no rate is measured. */
const GUESS_MS = 10;
/**
 * The latest estimate. The rate of a stalled queue halves again and again, so that within minutes an estimate would be a date
 * that cannot be written. No prediction lives longer than this time (`expires_in`).
 */
const FAR_MS = 604_800_000;
/** The lowest measured rate. A rate of zero would count as not measured, and a stalled queue would look like an idle queue. */
const SLOWEST_PER_MS = 1 / FAR_MS;
const RETRY_AFTER_MAX_S = 3_600;
/** The assumed time until a full memory has room, while the memory does not shrink: another program may hold the memory. */
const NO_ROOM_S = 60;

/** How fast a model's queue drains, from the number of predictions that left the queue. Idle times are not measured. */
export class DrainRate {
  #last: { left: number; waiting: number; atMs: number } | undefined;
  #perMs: number | undefined;

  observe(counts: QueueCounts, nowMs: number): void {
    const left = sum(counts.left);
    const waiting = sum(counts.entered) - left;
    const last = this.#last;
    const sinceMs = last ? nowMs - last.atMs : 0;
    // After a clock is set back, the next sample must not wait until the clock reaches the old time again.
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

  /** Predictions per millisecond; undefined while no rate is measured. */
  get perMs(): number | undefined {
    return this.#perMs && this.#perMs > 0 ? this.#perMs : undefined;
  }
}

const PRIORITIES = Object.values(BULL_PRIORITY);

// Runs several times per request: a loop over the keys of the object took 1 % of the API's time.
function sum(counts: Record<number, number>): number {
  let total = 0;
  for (const priority of PRIORITIES) total += counts[priority] ?? 0;
  return total;
}

/** The number of predictions that ever entered the queue. */
export const enteredOf = ({ entered }: QueueCounts): number => sum(entered);

/** The number of waiting predictions of all priorities. */
export function waitingOf(counts: QueueCounts): number {
  return Math.max(0, sum(counts.entered) - sum(counts.left));
}

/**
 * The number of predictions that run before a prediction of this priority. `number` is the prediction's number within its
 * priority; undefined for a new prediction.
 */
export function aheadOf(counts: QueueCounts, priority: number, number?: number): number {
  let ahead = 0;
  for (const other of Object.values(BULL_PRIORITY)) {
    const entered = other === priority && number !== undefined ? number - 1 : (counts.entered[other] ?? 0);
    if (other <= priority) ahead += Math.max(0, entered - (counts.left[other] ?? 0));
  }
  return ahead;
}

/**
 * The position of a prediction (1 is next) and its estimated times in Unix ms, at the measured rate. Predictions that a worker
 * holds and has not started count as waiting. Work that an engine has started is part of the measured run time.
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
  | {
      admitted: false;
      code: 'queue_full' | 'deadline_unreachable';
      reason: RefusalReason;
      detail: string;
      retryAfterS: number;
    };

/**
 * `outputs`: the outputs of waiting and running predictions need the rest of the memory. `inputs`: Postgres has too many large inputs
 * (promised-inputs.ts).
 */
export type RefusalReason = 'memory' | 'outputs' | 'inputs' | 'waiting' | 'deadline';

export interface Limits {
  /** The largest number of predictions that wait for one model. */
  maxQueue: number;
  /** The used share of the queue Redis memory, 0 to 1, at which new work is refused. */
  maxMemoryShare: number;
}

export interface Load {
  counts: QueueCounts;
  /** Predictions that leave the queue per millisecond; undefined while no rate is measured. */
  perMs: number | undefined;
  /** Milliseconds from the take of a prediction by a worker to its end; undefined while no run is measured. */
  runMs?: number | undefined;
  /** The used share of the queue Redis memory, 0 to 1. In a cluster: of the server that has the model's keys. */
  memoryShare: number;
  /** The share of this memory that becomes free per millisecond, at most 0 while none does; undefined while unmeasured. */
  freedPerMs?: number | undefined;
  /** The share of this memory that the outputs of all waiting and running predictions will need. */
  reservedShare: number;
  /** The share of this memory that one more output of the model needs. */
  outputShare: number;
}

export interface AdmitParams {
  limits: Limits;
  priority: Priority;
  /** The request's `expires_in`; null for a request without a deadline. */
  expiresInMs: number | null;
}

export function admit(load: Load, { limits, priority, expiresInMs }: AdmitParams): Verdict {
  const waiting = waitingOf(load.counts);
  const drainS = (count: number) =>
    Math.max(1, Math.min(RETRY_AFTER_MAX_S, Math.ceil(count / (load.perMs ?? 1 / GUESS_MS) / 1_000)));
  if (load.memoryShare >= limits.maxMemoryShare) {
    const percent = Math.round(load.memoryShare * 100);
    return refuse(
      'memory',
      `The memory of the queue is ${percent} % full. Send the request again later.`,
      roomS(load, limits, drainS(waiting / 10)),
    );
  }
  // While no prediction waits or runs, a prediction with an output of any size is admitted. Otherwise the prediction would be
  // refused forever.
  if (load.reservedShare > 0 && load.memoryShare + load.reservedShare + load.outputShare > limits.maxMemoryShare) {
    const used = Math.round(load.memoryShare * 100);
    const reserved = Math.round(load.reservedShare * 100);
    const detail = `The memory of the queue is ${used} % full, and the outputs of waiting and running predictions need about ${reserved} % more. Send the request again later.`;
    return refuse('outputs', detail, drainS(waiting / 10));
  }
  if (waiting >= limits.maxQueue)
    return refuse(
      'waiting',
      `Queue limit reached: ${waiting} predictions are waiting for this model. Send the request again later.`,
      drainS(waiting - limits.maxQueue + 1),
    );
  if (expiresInMs !== null && load.perMs !== undefined) {
    // The measured run time is left out: one prediction with very many rows would cause refusals of short deadlines.
    const needsMs = (aheadOf(load.counts, BULL_PRIORITY[priority]) + 1) / load.perMs;
    if (needsMs > expiresInMs) {
      const about = needsMs > FAR_MS ? 'more than a week' : `about ${Math.ceil(needsMs / 1000)} s`;
      const detail = `The prediction would take ${about}, and expires_in allows ${expiresInMs / 1000} s.`;
      const retryAfterS = Math.min(RETRY_AFTER_MAX_S, Math.ceil((needsMs - expiresInMs) / 1_000));
      return refuse('deadline', detail, Math.max(1, retryAfterS));
    }
  }
  return { admitted: true };
}

/** Seconds until the memory has room, at the rate at which the memory became free lately. */
function roomS({ memoryShare, freedPerMs, counts }: Load, { maxMemoryShare }: Limits, drainS: number): number {
  if (freedPerMs === undefined) return waitingOf(counts) > 0 ? drainS : NO_ROOM_S;
  if (freedPerMs <= 0) return NO_ROOM_S;
  return Math.max(1, Math.min(RETRY_AFTER_MAX_S, Math.ceil((memoryShare - maxMemoryShare) / freedPerMs / 1_000)));
}

const refuse = (reason: RefusalReason, detail: string, retryAfterS: number): Verdict => ({
  admitted: false,
  code: reason === 'deadline' ? 'deadline_unreachable' : 'queue_full',
  reason,
  detail,
  retryAfterS,
});
