/** Parses completion events. The value of an event is the terminal state of one prediction, which lib.lua writes. */
import type { Status } from '../predictions/prediction.ts';
import { LONG } from './ended-state.ts';
import { endOf } from './state.ts';
import { hasHead, numberOrNull, SEPARATOR } from './state-layout.ts';

export interface Completion {
  status: Status;
  /** Whether another prediction computed the result. */
  shared: boolean;
  attempts: number;
  startedAt: number | null;
  completedAt: number;
  inferenceMs: number | null;
  batchSize: number | null;
  /** JSON text of the output or error. Null if the text is too large for the event: read the live state. */
  result: string | null;
}

/**
 * Parses only the needed fields, because every waiting request gets an event. The task, the last field, is empty. Returns null
 * for an event that is not a state, such as an event of a version before 0.1.0: waiting requests then read the live state.
 */
export function parseCompletion(value: string): Completion | null {
  if (!hasHead(value)) return null;
  const task = value.lastIndexOf(SEPARATOR);
  const result = value.lastIndexOf(SEPARATOR, task - 1);
  const batch = value.lastIndexOf(SEPARATOR, result - 1);
  const inference = value.lastIndexOf(SEPARATOR, batch - 1);
  const text = value.slice(result + 1, task);
  const { shared, status, attempts, startedAt, completedAt } = endOf(value);
  return {
    shared,
    status,
    attempts,
    startedAt,
    completedAt,
    inferenceMs: numberOrNull(value.slice(inference + 1, batch)),
    batchSize: numberOrNull(value.slice(batch + 1, result)),
    result: text === LONG ? null : text,
  };
}
