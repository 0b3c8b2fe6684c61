/** What a completion event says of one prediction: the state that it ended in, which lib.lua writes. */
import type { Status } from '../predictions/prediction.ts';
import { endOf, hasHead, LONG, numberOrNull, SEPARATOR } from './state.ts';

export interface Completion {
  status: Status;
  attempts: number;
  startedAt: number | null;
  completedAt: number;
  inferenceMs: number | null;
  batchSize: number | null;
  /** JSON text of output or error; null when it was too large for the event: read the live state. */
  result: string | null;
}

/**
 * Takes what it needs and no more: every waiter is woken by one of these. The task, last, is empty. Null for an event that is
 * no state, such as those of versions before 0.1.0: its waiters read the live state.
 */
export function parseCompletion(value: string): Completion | null {
  if (!hasHead(value)) return null;
  const task = value.lastIndexOf(SEPARATOR);
  const result = value.lastIndexOf(SEPARATOR, task - 1);
  const batch = value.lastIndexOf(SEPARATOR, result - 1);
  const inference = value.lastIndexOf(SEPARATOR, batch - 1);
  const told = value.slice(result + 1, task);
  return {
    ...endOf(value),
    inferenceMs: numberOrNull(value.slice(inference + 1, batch)),
    batchSize: numberOrNull(value.slice(batch + 1, result)),
    result: told === LONG ? null : told,
  };
}
