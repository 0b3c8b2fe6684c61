/**
 * The BullMQ job: the ids of predictions of one model version that a worker takes together. The task of each prediction is in its
 * live state, so that the job is small and the worker skips canceled predictions.
 */
import { isPredictionId } from '../predictions/ids.ts';
import { parseSlot, slotText } from '../predictions/slots.ts';
import { type InputRow, isSlot, readTask, type SlotRow, type StoredTask } from '../predictions/task.ts';

export const JOB_NAME = 'predict';

export interface PredictJob {
  /** Version of this format. Jobs of older formats stay in the queue over an upgrade. */
  v: 1;
  version: string;
  ids: string[];
  /** Number of rows to compute of each prediction; absent when each prediction has one row. Workers of 0.1 ignore the field. */
  rows?: number[];
  /**
   * The rows to compute of a small job: the worker may start with these rows while the predictions are taken. This saves a round
   * trip for a single caller. In a large job the field would only make the job larger.
   */
  ahead?: string[];
  /** The slots of a small job whose rows are all in slots, as `ahead`. A worker that does not know the field takes the predictions first. */
  slots?: string[];
}

const AHEAD_JOB_MAX = 4;
const AHEAD_TASK_MAX = 1_024;
/** Stands before the base64 of a row of bytes. JSON text does not begin with this character. */
const BASE64 = '=';

/** Returns `ahead` of a job for these tasks; undefined when the tasks are too many or too long. */
export function rowsAhead(tasks: readonly StoredTask[]): string[] | undefined {
  if (tasks.length > AHEAD_JOB_MAX || tasks.some(({ length }) => length > AHEAD_TASK_MAX)) return undefined;
  const rows = new Set<string>();
  for (const stored of tasks) {
    const task = readTask(stored);
    if (task === undefined) return undefined;
    for (const [at, row] of task.rows.entries()) {
      if (isSlot(row)) return undefined;
      if ((task.known?.[at] ?? null) === null)
        rows.add(typeof row === 'string' ? row : `${BASE64}${row.toString('base64')}`);
    }
  }
  return [...rows];
}

/**
 * Returns `slots` of a job for these tasks; undefined when the tasks are too many, or a row is in no slot. A row with a cached result needs
 * no run, and equal rows need one run.
 */
export function slotsAhead(tasks: readonly StoredTask[]): string[] | undefined {
  if (tasks.length > AHEAD_JOB_MAX) return undefined;
  const slots: string[] = [];
  const seen = new Set<string>();
  for (const stored of tasks) {
    // Only a task of bytes has slots. The task of a row in a slot is short.
    const task = typeof stored === 'string' || stored.length > AHEAD_TASK_MAX ? undefined : readTask(stored);
    if (!task?.rows.every(isSlot)) return undefined;
    for (const [at, row] of task.rows.entries()) {
      const key = task.keys[at] ?? null;
      if ((task.known?.[at] ?? null) !== null || (key !== null && seen.has(key))) continue;
      if (key !== null) seen.add(key);
      slots.push(slotText(row));
    }
  }
  return slots;
}

/** The slots of a job, without texts that name no slot. */
export const readSlots = (texts: readonly string[]): SlotRow[] => texts.flatMap((text) => parseSlot(text) ?? []);

/** A row of `ahead`. */
export const rowAhead = (text: string): InputRow =>
  text.startsWith(BASE64) ? Buffer.from(text.slice(BASE64.length), 'base64') : text;

/** A longer task is not parsed, because parsing would take too long: all its rows count. */
const COUNTED_TEXT_MAX = 16_384;
/** The rows of a long task of 0.1.0, which does not count rows. */
const LARGE_TASK_ROWS = 1_000;

/** Returns `rows` of a job for the tasks of these rows of the ledger; undefined when each task has one row to compute. */
export function rowCounts(promises: readonly { task: StoredTask; rows: number | null }[]): number[] | undefined {
  const counts = promises.map(({ task: stored, rows: all }) => {
    if (typeof stored !== 'string' || stored.length > COUNTED_TEXT_MAX) return all ?? LARGE_TASK_ROWS;
    const task = readTask(stored);
    if (task === undefined) return 1;
    const { rows, known } = task;
    return rows.filter((_, at) => (known?.[at] ?? null) === null).length;
  });
  return counts.every((count) => count === 1) ? undefined : counts;
}

/** A prediction that must run before others of its model, because a more urgent prediction waits for its result. */
export interface Lift {
  model: string;
  id: string;
  /** The number of BullMQ. */
  priority: number;
}

/** Returns the message of the channel for a lift: `priority id model`. */
export const liftText = ({ model, id, priority }: Lift): string => `${priority} ${id} ${model}`;

/** Reads a message of the channel. Returns undefined for a message that is no lift. */
export function parseLift(text: string): Lift | undefined {
  const [priority = '', id = '', model = ''] = text.split(' ');
  return /^\d{1,3}$/.test(priority) && isPredictionId(id) && model !== ''
    ? { model, id, priority: Number(priority) }
    : undefined;
}

/**
 * Returns the id of the job whose first prediction is `predictionId`. A repeated add of the same predictions has the same id and
 * changes nothing. BullMQ accepts no ':' in a job id and no id of digits only.
 */
export const jobIdOf = (predictionId: string, round = 0): string =>
  round === 0 ? `p-${predictionId}` : `p-${predictionId}-${round}`;

/** The length of `p-` and a UUID; take.lua has the same number. */
export const FIRST_JOB_LENGTH = 38;

/** Whether the job is not the first job of its predictions, but was added after a retry or by the reconciler. */
export const isLaterJob = (jobId: string): boolean => jobId.length > FIRST_JOB_LENGTH;

/** Number of failed jobs that a queue keeps. */
export const FAILED_KEPT = 50;

/** Returns the BullMQ options of a job; `priority` is the number of BullMQ. */
export const jobOptions = (jobId: string, priority: number) => ({
  jobId,
  priority,
  removeOnComplete: true,
  // A job fails only when no worker can read the job. A few failed jobs are kept for inspection.
  removeOnFail: { count: FAILED_KEPT },
});

/** A later version of Millrace wrote the job: a worker of that version must take the job. */
export class NewerJobError extends Error {
  override name = 'NewerJobError';
}

/** Reads the payload of a job. Throws an error that shows an invalid payload, and NewerJobError for a job of a later version. */
export function parsePredictJob(data: unknown): PredictJob {
  if (isObject(data) && typeof data.v === 'number' && data.v > 1)
    throw new NewerJobError(`its format is ${data.v}, and this version reads format 1`);
  if (!isPredictJob(data))
    throw new Error(
      `expected a job {v: 1, version, ids, rows?, ahead?, slots?}, got ${JSON.stringify(data).slice(0, 200)}`,
    );
  return data;
}

function isPredictJob(data: unknown): data is PredictJob {
  if (!isObject(data)) return false;
  const { v, version, ids, rows, ahead, slots } = data;
  return (
    v === 1 &&
    typeof version === 'string' &&
    Array.isArray(ids) &&
    ids.every((id) => isPredictionId(id)) &&
    (rows === undefined ||
      (Array.isArray(rows) &&
        rows.length === ids.length &&
        rows.every((count) => Number.isInteger(count) && count >= 0))) &&
    (ahead === undefined || areTexts(ahead)) &&
    (slots === undefined || areTexts(slots))
  );
}

const areTexts = (value: unknown): boolean => Array.isArray(value) && value.every((one) => typeof one === 'string');

const isObject = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null;
