/** The work of a handler pool, and the inputs of one message to a thread. */
import type { RunEnd } from './handler-thread.ts';
import type { HandlerSource, RowResult } from './messages.ts';

/** Inputs in one message to a thread. */
export const INPUTS_FIRST = 32;
export const INPUTS_MAX = 256;
export const MESSAGE_BYTES = 1_048_576;

/** The input took longer than the limit, or was not tried. */
interface TimedOut {
  /** The reason, after "it took " or as "not tried, because ...". */
  timedOut: string;
  /** The time of `canonicalize`; 0 for an input that was not tried. */
  ms: number;
}

export type PoolResult = RowResult | TimedOut;

/** The inputs of one request. */
export interface Job {
  source: HandlerSource;
  tenant: string;
  inputs: readonly unknown[];
  sizes: readonly number[];
  bytes: number;
  results: PoolResult[];
  /** Inputs in the next message. */
  chunk: number;
  /** The processor time of the job so far. */
  cpuMs: number;
  /** Whether the job shares no message, because a thread ended during a message with this job. */
  isAlone: boolean;
  resolve(results: PoolResult[]): void;
  reject(error: unknown): void;
}

/** The number of inputs without a result. */
export const leftOf = ({ inputs, results }: Job): number => inputs.length - results.length;

/**
 * The stop of a thread, for the job whose `count` inputs begin at `from` in the message. The input that took too long is known. An
 * input that ended the thread of several jobs in another way runs again without the other jobs, because the others can have filled
 * the memory.
 */
export function stopOf(
  { stopped }: RunEnd,
  { from, count, isShared }: { from: number; count: number; isShared: boolean },
): Pick<RunEnd, 'stopped'> {
  if (stopped === undefined || stopped.at < from || stopped.at >= from + count) return {};
  return isShared && stopped.why !== 'time' ? {} : { stopped: { ...stopped, at: stopped.at - from } };
}

/** The inputs of the next message for a job that shares no message. */
export function nextInputs({ inputs, sizes, results, chunk }: Job): readonly unknown[] {
  const from = results.length;
  let bytes = sizes[from] ?? 0;
  let to = from + 1;
  while (to < inputs.length && to - from < chunk) {
    bytes += sizes[to] ?? 0;
    if (bytes > MESSAGE_BYTES) break;
    to += 1;
  }
  return inputs.slice(from, to);
}
