/** The oldest waiting job of each priority of a model's queue. */
import { shardOf, timeOfId } from '../predictions/ids.ts';
import { BULL_PRIORITY, type Priority } from '../predictions/prediction.ts';
import type { Connection } from '../redis/connection.ts';
import type { Keys } from '../redis/keys.ts';
import { FIRST_JOB_LENGTH } from './job.ts';

/** BullMQ's score of a waiting job is its priority times this number, and a counter. */
const SCORE_OF_PRIORITY = 2 ** 32;
const PRIORITIES = Object.entries(BULL_PRIORITY) as [Priority, number][];

/**
 * When the oldest waiting job of each priority entered the queue, in Unix ms. A priority without a waiting job is absent. A job
 * that a worker holds does not wait.
 */
export async function oldestJobs(
  redis: Pick<Connection, 'zrange'>,
  keys: Keys,
  model: string,
): Promise<ReadonlyMap<Priority, number>> {
  const waiting = `${keys.bull(shardOf(model))}:${model}:prioritized`;
  const heads = await Promise.all(
    PRIORITIES.map(([, number]) =>
      redis.zrange(
        waiting,
        number * SCORE_OF_PRIORITY,
        `(${(number + 1) * SCORE_OF_PRIORITY}`,
        'BYSCORE',
        'LIMIT',
        0,
        1,
      ),
    ),
  );
  const oldest = new Map<Priority, number>();
  for (const [at, [priority]] of PRIORITIES.entries()) {
    const job = heads[at]?.[0];
    const enteredAt = job === undefined ? Number.NaN : jobTime(job);
    if (Number.isFinite(enteredAt)) oldest.set(priority, enteredAt);
  }
  return oldest;
}

/**
 * When the oldest job that workers hold entered the queue, in Unix ms; undefined without a held job. The caller knows whether a
 * prediction of a held job still waits.
 */
export async function oldestHeldJob(
  redis: Pick<Connection, 'lindex'>,
  keys: Keys,
  model: string,
): Promise<number | undefined> {
  // BullMQ puts the newest job at the left.
  const job = await redis.lindex(`${keys.bull(shardOf(model))}:${model}:active`, -1);
  const enteredAt = job === null ? Number.NaN : jobTime(job);
  return Number.isFinite(enteredAt) ? enteredAt : undefined;
}

/** The id of a first job has the time of its prediction, and the id of a later job ends with the time of the later start. */
export const jobTime = (jobId: string): number =>
  jobId.length > FIRST_JOB_LENGTH ? Number(jobId.slice(FIRST_JOB_LENGTH + 1)) : timeOfId(jobId.slice(2));
