/** Adds jobs to BullMQ. Each model has a queue, and all queues use the same producer connection. */

import { Queue } from 'bullmq';
import { shardOf } from '../predictions/ids.ts';
import type { Connection } from '../redis/connection.ts';
import type { Keys } from '../redis/keys.ts';
import { JOB_NAME, jobIdOf, jobOptions, type Lift, liftText, type PredictJob } from './job.ts';

export interface AddJobParams extends Pick<PredictJob, 'version' | 'ids' | 'rows' | 'ahead' | 'slots'> {
  model: string;
  /** The number of BullMQ. */
  priority: number;
  /** Default: the id of the first job of the first prediction. */
  jobId?: string;
}

export interface Queues {
  /** Adds a job. A repeated add with the same job id changes nothing. */
  add(params: AddJobParams): Promise<void>;
  /** Raises the priority of a prediction: of its job while the job waits, else in the worker that holds the job. */
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
        // No process reads the event stream of BullMQ: Millrace has its own completion events.
        streams: { events: { maxLen: 100 } },
        skipVersionCheck: true,
      });
      queue.on('error', onError);
      queues.set(model, queue);
    }
    return queue;
  }
  return {
    async add({ model, version, ids, priority, jobId = jobIdOf(ids[0] ?? ''), rows, ahead, slots }) {
      const data: PredictJob = { v: 1, version, ids };
      if (rows !== undefined) data.rows = rows;
      if (ahead !== undefined) data.ahead = ahead;
      if (slots !== undefined) data.slots = slots;
      await queueOf(model).add(JOB_NAME, data, jobOptions(jobId, priority));
    },
    async lift({ model, id, priority, jobId }) {
      const job = await queueOf(model).getJob(jobId);
      if (job && (job.priority === 0 || job.priority > priority)) await job.changePriority({ priority });
      // The message follows the change: a worker that takes the job after the change reads the new priority with the job.
      await connection.publish(keys.liftChannel(), liftText({ model, id, priority }));
    },
    async close() {
      await Promise.allSettled([...queues.values()].map((queue) => queue.close()));
    },
  };
}
