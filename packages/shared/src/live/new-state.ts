/** Writes the states of new predictions. */
import type { Text } from '../predictions/long-text.ts';
import { BULL_PRIORITY, type Priority } from '../predictions/prediction.ts';
import { addNumber } from '../predictions/request-options.ts';
import type { StoredTask } from '../predictions/task.ts';
import { packDigest } from '../redis/keys.ts';
import { count, msText, NEVER, openingText, SEPARATOR, WORKER_ID_MAX } from './state-layout.ts';

export interface StateTarget {
  model: string;
  version: string;
  digest: string;
}

/** A prediction that is to enter the queue. */
export interface NewPrediction {
  id: string;
  createdAt: number;
  expiresAt: number | null;
  tenant: string;
  /** JSON text; '' for none. */
  metadata: string;
  /** JSON text of the other options of the request (webhook, idempotency); '' for none. */
  options: string;
  /** The cache key (hex) by which equal requests share this computation; null for a computation that is not shared. */
  flight: string | null;
  task: StoredTask;
  /** Rows of the task to compute; 1 if absent. */
  rows?: number;
  /** Earlier attempts, if the reconciler restores the prediction. */
  attempts: number;
  /** 0, and one more for each retry. */
  opening: number;
  /** JSON text of a cached output. The prediction is then terminal at once, and is recorded like any other. Null for no output. */
  known: Text | null;
  /** Unix ms of a repeated submission. The job gets a new id, because an earlier job with other predictions can still exist. */
  resubmittedAt?: number;
}

/** The parts of a new state that are the same for a whole batch. */
export interface StateFrame {
  before: string;
  between: string;
  after: string;
  nowMs: number;
}

/** `nowMs` is the time at which the states enter the queue. */
export function stateFrame(
  { model, version, digest }: StateTarget,
  { priority, job, nowMs }: { priority: Priority; job: string; nowMs: number },
): StateFrame {
  const names = [model, version, packDigest(digest), job];
  return {
    before: `q${BULL_PRIORITY[priority]}0000`,
    between: `${NEVER}${' '.repeat(WORKER_ID_MAX)}${NEVER}`,
    after: `${SEPARATOR}${names.join(SEPARATOR)}${SEPARATOR}${SEPARATOR}`,
    nowMs,
  };
}

/** The state of a new prediction without its number. `flight` is the name of the flight, '' for none. */
export function newState(frame: StateFrame, item: NewPrediction, flight: string): string | Buffer {
  const text = stateText(frame, item, flight);
  const { task } = item;
  if (typeof task === 'string') return text + task;
  const length = Buffer.byteLength(text);
  const state = Buffer.allocUnsafe(length + task.length);
  state.write(text);
  task.copy(state, length);
  return state;
}

/** The state of a new prediction without its number and its task. */
export function stateText(frame: StateFrame, item: NewPrediction, flight: string): string {
  const { createdAt, tenant, metadata, attempts, opening, expiresAt, known } = item;
  const waited = frame.nowMs - createdAt;
  const options = waited > 0 && known === null ? addNumber(item.options, 'queued', waited) : item.options;
  const first = `${flight}${SEPARATOR}${createdAt}${openingText(opening)}${SEPARATOR}${tenant}${frame.after}${metadata}${SEPARATOR}${options}`;
  const tries = count(attempts);
  // The scripts count bytes. The length in characters is the same, and cheaper, where metadata and options are empty.
  const bytes = metadata === '' && item.options === '' ? first.length : Buffer.byteLength(first);
  return (
    `${frame.before}${tries}${tries}${msText(expiresAt)}${frame.between}${String(bytes).padStart(6, '0')}` +
    `${first}${SEPARATOR}${SEPARATOR}${SEPARATOR}${SEPARATOR}`
  );
}
