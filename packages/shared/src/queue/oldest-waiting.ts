/** Finds when the oldest waiting prediction of a model was queued, without a read of a prediction. */
import { shardOf } from '../predictions/ids.ts';
import { BULL_PRIORITY } from '../predictions/prediction.ts';
import type { Connection } from '../redis/connection.ts';
import type { Keys } from '../redis/keys.ts';
import { jobTimeOf } from './job.ts';

/** BullMQ's score of a job with a priority is the priority times this number, plus a counter. */
const SCORE_OF_PRIORITY = 0x1_0000_0000;

/**
 * Returns the time in Unix ms at which the first job of each priority was added, and the time of the oldest job that workers hold
 * if no job is in the queue. Undefined without a job. Only the head of each priority is read, so that the call is cheap for a
 * queue of any length. The caller knows whether a prediction waits: a held job may have started.
 */
export async function oldestJobAt(redis: Connection, keys: Keys, model: string): Promise<number | undefined> {
  const queue = `${keys.bull(shardOf(model))}:${model}:`;
  const heads = Object.values(BULL_PRIORITY).map((priority) =>
    redis.zrangebyscore(
      `${queue}prioritized`,
      priority * SCORE_OF_PRIORITY,
      `(${(priority + 1) * SCORE_OF_PRIORITY}`,
      'LIMIT',
      0,
      1,
    ),
  );
  // BullMQ puts the newest job at the left of these lists. A job that was handed back has no priority for a moment.
  const [waiting, held, ...found] = await Promise.all([
    redis.lindex(`${queue}wait`, -1),
    redis.lindex(`${queue}active`, -1),
    ...heads,
  ]);
  const queued = [waiting, ...found.map(([head]) => head ?? null)].flatMap(timesOf);
  const times = queued.length > 0 ? queued : timesOf(held);
  return times.length === 0 ? undefined : Math.min(...times);
}

const timesOf = (jobId: string | null): number[] => {
  const time = jobId === null ? undefined : jobTimeOf(jobId);
  return time === undefined ? [] : [time];
};
