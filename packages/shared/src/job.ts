/**
 * The BullMQ job: a micro-batch of predictions of one model version, by id alone. What is to be computed stands in each
 * prediction's live state, so that a job is small, and what was cancelled is never sent to a worker.
 */
import { isPredictionId } from './ids.ts';

export const JOB_NAME = 'predict';

export interface PredictJob {
  /** Version of this form. Jobs of older forms stay in flight over an upgrade. */
  v: 1;
  version: string;
  ids: string[];
}

/** BullMQ takes no ':' and no bare digits in a job id; one made from the first prediction makes a repeated add harmless. */
export const jobIdOf = (predictionId: string, round = 0): string =>
  round === 0 ? `p-${predictionId}` : `p-${predictionId}-${round}`;

/** Options that every job is added with; `priority` is BullMQ's number. */
export const jobOptions = (jobId: string, priority: number) => ({
  jobId,
  priority,
  removeOnComplete: true,
  removeOnFail: { count: 1_000 },
});

/** Throws on a payload that is not one of ours, saying what came. */
export function parsePredictJob(data: unknown): PredictJob {
  const job = data as Partial<PredictJob> | null;
  const fits =
    job?.v === 1 &&
    typeof job.version === 'string' &&
    Array.isArray(job.ids) &&
    job.ids.every((id) => isPredictionId(id));
  if (!fits) throw new Error(`expected a job {v: 1, version, ids}, got ${JSON.stringify(data).slice(0, 200)}`);
  return job as PredictJob;
}
