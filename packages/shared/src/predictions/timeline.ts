/** The timeline of a prediction: its events in order, as JSON text. */
import type { PredictionRecord } from './prediction.ts';

/** An execution that a later attempt or a retry replaced. */
export type EarlierAttempt = readonly [attempt: number, worker: string, takenAt: number];

/** The facts of a prediction that only its timeline shows. Times are Unix milliseconds. */
export interface TimelineFacts {
  /** The worker of the last attempt; null before the first attempt. */
  workerId: string | null;
  /** The time at which the prediction entered the queue; null if the prediction did not wait, and in rows of earlier versions. */
  queuedAt: number | null;
  /** The time at which the worker had assembled the run; null before the end of a run, and in rows of earlier versions. */
  batchedAt: number | null;
  /** JSON text of the earlier attempts, oldest first (`EarlierAttempt`); null for none. */
  earlierAttempts: string | null;
}

export const NO_FACTS: TimelineFacts = { workerId: null, queuedAt: null, batchedAt: null, earlierAttempts: null };

/** What happened after the end. */
export interface Recorded {
  recordedAt: number | null;
  /** The times of successful webhook deliveries. */
  deliveredAt: readonly number[];
}

export interface TimelineEvent {
  at: string;
  type: 'accepted' | 'queued' | 'taken' | 'batched' | 'computed' | 'recorded' | 'delivered';
  attempt: number | null;
  worker_id: string | null;
  rows: number | null;
  shared: boolean | null;
}

type Ended = Pick<
  PredictionRecord,
  'status' | 'createdAt' | 'startedAt' | 'completedAt' | 'attempts' | 'inferenceMs' | 'batchSize'
> & { cache: string | null };

/** The events of a prediction, in the order in which they happened. An event whose time is unknown is left out. */
export function timelineOf(prediction: Ended, facts: TimelineFacts, recorded: Recorded | undefined): TimelineEvent[] {
  const { createdAt, queuedAt } = { ...prediction, ...facts };
  const earlier = readEarlier(facts.earlierAttempts);
  const taken = earlier.map(([attempt, worker, at]) => event('taken', at, { attempt, worker_id: worker || null }));
  const before = queuedAt === null ? taken : taken.filter((_, at) => (earlier[at]?.[2] ?? 0) < queuedAt);
  return [
    event('accepted', createdAt),
    ...before,
    ...(queuedAt === null ? [] : [event('queued', queuedAt)]),
    ...taken.slice(before.length),
    ...runEvents(prediction, facts),
    ...(typeof recorded?.recordedAt === 'number' ? [event('recorded', recorded.recordedAt)] : []),
    ...(recorded?.deliveredAt ?? []).map((at) => event('delivered', at)),
  ];
}

/** The events of the last attempt. */
function runEvents(prediction: Ended, { workerId, batchedAt }: TimelineFacts): TimelineEvent[] {
  const { startedAt, completedAt, attempts, inferenceMs, batchSize, cache } = prediction;
  if (startedAt === null) return [];
  const run = { attempt: attempts || null, worker_id: workerId, shared: cache === 'collapsed' };
  const rows = batchSize || null;
  const events = [event('taken', startedAt, run)];
  if (batchedAt !== null) events.push(event('batched', batchedAt, { ...run, rows }));
  // A prediction that was canceled, has expired or was lost has no run time.
  if (inferenceMs !== null && completedAt !== null) events.push(event('computed', completedAt, { ...run, rows }));
  return events;
}

function event(type: TimelineEvent['type'], atMs: number, more: Partial<TimelineEvent> = {}): TimelineEvent {
  return { at: new Date(atMs).toISOString(), type, attempt: null, worker_id: null, rows: null, shared: null, ...more };
}

/** Empty for damaged text: the timeline is then shorter, and the prediction is still readable. */
function readEarlier(text: string | null): readonly EarlierAttempt[] {
  if (text === null) return [];
  try {
    const read: unknown = JSON.parse(text);
    return Array.isArray(read) ? read.filter(isEarlier) : [];
  } catch {
    return [];
  }
}

const isEarlier = (one: unknown): one is EarlierAttempt =>
  Array.isArray(one) && Number.isInteger(one[0]) && typeof one[1] === 'string' && Number.isInteger(one[2]);
