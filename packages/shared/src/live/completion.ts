/** What a completion event says of one prediction. */
import type { Status } from '../prediction.ts';
import { statusOf } from './state.ts';

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

const SEPARATOR = '\x1f';

const numberOrNull = (text: string | undefined): number | null => (text ? Number(text) : null);

/** Parses the value of an event's field, as lib.lua writes it. */
export function parseCompletion(value: string): Completion {
  const parts = value.split(SEPARATOR, 6);
  const [status = '', attempts, startedAt, completedAt, inferenceMs, batchSize] = parts;
  let at = 0;
  for (const part of parts) at += part.length + 1;
  return {
    status: statusOf(status),
    attempts: Number(attempts),
    startedAt: numberOrNull(startedAt),
    completedAt: Number(completedAt),
    inferenceMs: numberOrNull(inferenceMs),
    batchSize: numberOrNull(batchSize),
    result: value[at] === '+' ? value.slice(at + 1) : null,
  };
}
