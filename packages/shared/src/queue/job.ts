/**
 * The BullMQ job: a micro-batch of predictions of one model version, by id. What is to be computed stands in each
 * prediction's live state, so that a job is small, and what was cancelled is skipped.
 */
import { isPredictionId } from '../predictions/ids.ts';
import { readTask, type Task } from '../predictions/task.ts';

export const JOB_NAME = 'predict';

export interface PredictJob {
  /** Version of this form. Jobs of older forms stay in flight over an upgrade. */
  v: 1;
  version: string;
  ids: string[];
  /** Rows to compute of each prediction; absent where each has one. Workers of 0.1 ignore the field. */
  rows?: number[];
  /**
   * Rows that a small job needs computed: its worker may begin with them while it takes the predictions. A lone caller waits
   * for every round trip; in a large job they would only make it larger.
   */
  ahead?: string[];
}

const AHEAD_JOB_MAX = 4;
const AHEAD_TEXT_MAX = 1_024;

/** What `ahead` is for these tasks (JSON texts), or undefined for more than it is meant for. */
export function rowsAhead(tasks: readonly string[]): string[] | undefined {
  if (tasks.length > AHEAD_JOB_MAX || tasks.some(({ length }) => length > AHEAD_TEXT_MAX)) return undefined;
  const rows = new Set<string>();
  for (const text of tasks) {
    const task = JSON.parse(text) as Task;
    for (const [at, row] of task.rows.entries()) if ((task.known?.[at] ?? null) === null) rows.add(row);
  }
  return [...rows];
}

/** A task of more characters is not parsed only to be counted: it counts as this many rows. */
const COUNTED_TEXT_MAX = 16_384;
const LARGE_TASK_ROWS = 1_000;

/** `rows` of a job for these tasks (JSON texts): undefined where each has one row to compute. */
export function rowCounts(tasks: readonly string[]): number[] | undefined {
  const counts = tasks.map((text) => {
    if (text.length > COUNTED_TEXT_MAX) return LARGE_TASK_ROWS;
    const task = readTask(text);
    if (task === undefined) return 1;
    const { rows, known } = task;
    return rows.filter((_, at) => (known?.[at] ?? null) === null).length;
  });
  return counts.every((count) => count === 1) ? undefined : counts;
}

/** A prediction that is to go before others of its model: somebody more urgent waits for its result. */
export interface Lift {
  model: string;
  id: string;
  /** BullMQ's number. */
  priority: number;
}

/** A lift as the message of its channel: `priority id model`. */
export const liftText = ({ model, id, priority }: Lift): string => `${priority} ${id} ${model}`;

/** Undefined for a message that is no lift. */
export function parseLift(text: string): Lift | undefined {
  const [priority = '', id = '', model = ''] = text.split(' ');
  return /^\d{1,3}$/.test(priority) && isPredictionId(id) && model !== ''
    ? { model, id, priority: Number(priority) }
    : undefined;
}

/** BullMQ takes no ':' and no bare digits in a job id; one made from the first prediction makes a repeated add harmless. */
export const jobIdOf = (predictionId: string, round = 0): string =>
  round === 0 ? `p-${predictionId}` : `p-${predictionId}-${round}`;

/** `p-` and a UUID; take.lua has the same. */
const FIRST_JOB_LENGTH = 38;

/** Whether a job is a later one of its predictions: after a retry, or from the reconciler. */
export const isLaterJob = (jobId: string): boolean => jobId.length > FIRST_JOB_LENGTH;

/** Failed jobs that a queue keeps. */
export const FAILED_KEPT = 50;

/** Options that every job is added with; `priority` is BullMQ's number. */
export const jobOptions = (jobId: string, priority: number) => ({
  jobId,
  priority,
  removeOnComplete: true,
  // A job fails only if nobody can read it: a few are kept for people to look at.
  removeOnFail: { count: FAILED_KEPT },
});

/** A later version wrote the job: a worker of that version is to take it. */
export class NewerJobError extends Error {
  override name = 'NewerJobError';
}

/** Throws on a payload that is not one of ours, saying what came; NewerJobError on one that a later version wrote. */
export function parsePredictJob(data: unknown): PredictJob {
  const job = data as Partial<PredictJob> | null;
  if (typeof job?.v === 'number' && job.v > 1)
    throw new NewerJobError(`its form is ${job.v}, and this version reads form 1`);
  const fits =
    job?.v === 1 &&
    typeof job.version === 'string' &&
    Array.isArray(job.ids) &&
    job.ids.every((id) => isPredictionId(id)) &&
    (job.rows === undefined ||
      (Array.isArray(job.rows) &&
        job.rows.length === job.ids.length &&
        job.rows.every((rows) => Number.isInteger(rows) && rows >= 0))) &&
    (job.ahead === undefined || (Array.isArray(job.ahead) && job.ahead.every((row) => typeof row === 'string')));
  if (!fits)
    throw new Error(`expected a job {v: 1, version, ids, rows?, ahead?}, got ${JSON.stringify(data).slice(0, 200)}`);
  return job as PredictJob;
}
