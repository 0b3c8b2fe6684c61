/** The BullMQ worker that wakes delivery lanes at the time of their timers. */
import type { Connection } from '@millrace/shared/redis/connection';
import { type LaneJob, WEBHOOK_QUEUE, webhookPrefix } from '@millrace/shared/webhooks/timers';
import { Worker } from 'bullmq';

export interface LaneTimerParams {
  /** A `blocking` connection. The caller closes the connection. */
  connection: Connection;
  keyPrefix: string;
  onDue(lane: string): void;
  onError(error: Error): void;
}

const CONCURRENCY = 16;
/**
 * A job takes no longer than waking its lane. The job of a worker that died blocks new jobs with its id until BullMQ finds
 * the job stalled. With BullMQ's default of 30 s only the sweep would find the lane for that time.
 */
const LOCK_MS = 4_000;
const STALLED_MS = 2_000;

export function startLaneTimers({ connection, keyPrefix, onDue, onError }: LaneTimerParams): {
  close(): Promise<void>;
} {
  const worker = new Worker<LaneJob>(WEBHOOK_QUEUE, async (job) => onDue(job.data.lane), {
    connection,
    prefix: webhookPrefix(keyPrefix),
    concurrency: CONCURRENCY,
    removeOnComplete: { count: 0 },
    removeOnFail: { count: 0 },
    lockDuration: LOCK_MS,
    stalledInterval: STALLED_MS,
    maxStalledCount: 1_000,
    skipVersionCheck: true,
  });
  worker.on('error', onError);
  // Wakes the lane again: BullMQ drops a job whose id is active, so deliveries scheduled meanwhile would be missed.
  worker.on('completed', (job) => onDue(job.data.lane));
  return { close: () => worker.close() };
}
