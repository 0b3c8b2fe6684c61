/** Adding jobs to BullMQ, in one place: a queue per model, all on the one producer connection. */

import { Queue } from 'bullmq';
import { shardOf } from '../predictions/ids.ts';
import type { Connection } from '../redis/connection.ts';
import type { Keys } from '../redis/keys.ts';
import { JOB_NAME, jobIdOf, jobOptions, type Lift, liftText, type PredictJob } from './job.ts';

export interface Queues {
  /** Adds a micro-batch; a repeated add with the same job id changes nothing. `priority` is BullMQ's number. */
  add(
    model: string,
    version: string,
    ids: string[],
    priority: number,
    jobId?: string,
    more?: Pick<PredictJob, 'rows' | 'ahead'>,
  ): Promise<void>;
  /** Raises a prediction to a more urgent priority: with its job while that waits, else in the worker that holds the job. */
  lift(lift: Lift & { jobId: string }): Promise<void>;
  close(): Promise<void>;
}

export function createQueues(connection: Connection, keys: Keys, onError: (error: Error) => void): Queues {
  const queues = new Map<string, Queue<PredictJob>>();
  function queueOf(model: string): Queue<PredictJob> {
    let queue = queues.get(model);
    if (!queue) {
      queue = new Queue<PredictJob>(model, {
        connection,
        prefix: keys.bull(shardOf(model)),
        // BullMQ's own event stream is not read: completion events are ours.
        streams: { events: { maxLen: 100 } },
        skipVersionCheck: true,
      });
      queue.on('error', onError);
      queues.set(model, queue);
    }
    return queue;
  }
  return {
    async add(model, version, ids, priority, jobId = jobIdOf(ids[0] as string), { rows, ahead } = {}) {
      const data: PredictJob = { v: 1, version, ids };
      if (rows !== undefined) data.rows = rows;
      if (ahead !== undefined) data.ahead = ahead;
      await queueOf(model).add(JOB_NAME, data, jobOptions(jobId, priority));
    },
    async lift({ model, id, priority, jobId }) {
      const job = await queueOf(model).getJob(jobId);
      if (job && (job.priority === 0 || job.priority > priority)) await job.changePriority({ priority });
      // After the change: a worker that takes the job from now on reads the new priority with the job.
      await connection.publish(keys.liftChannel(), liftText({ model, id, priority }));
    },
    async close() {
      await Promise.allSettled([...queues.values()].map((queue) => queue.close()));
    },
  };
}
