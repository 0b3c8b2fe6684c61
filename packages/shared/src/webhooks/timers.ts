/**
 * Timers of delivery lanes, as delayed BullMQ jobs that all workers share. A job only names a lane with due deliveries: the
 * deliveries are in Postgres. After the loss of a job the next sweep of a worker finds the lane.
 */
import { Queue } from 'bullmq';
import type { Cluster, Redis } from 'ioredis';
import { type Destination, laneOf } from './lane.ts';

export const WEBHOOK_QUEUE = 'webhooks';
/** The prefix puts all keys of the queue into one hash slot. */
export const webhookPrefix = (keyPrefix: string): string => `${keyPrefix}:{webhooks}`;

export interface LaneJob {
  lane: string;
}

export interface DueLane {
  lane: string;
  /** Unix ms. */
  atMs: number;
}

export interface WebhookTimers {
  /**
   * Wakes the lanes of deliveries that are due now. Call this method after the commit. Never rejects: after a failure the sweep
   * finds the deliveries.
   */
  scheduleDeliveries(deliveries: readonly Destination[]): Promise<void>;
  /** Sets timers for lanes that are due at a given time. Never rejects. */
  scheduleLanes(lanes: readonly DueLane[]): Promise<void>;
  close(): Promise<void>;
}

export interface TimerOptions {
  /** A `producer` connection. The caller closes the connection. */
  connection: Redis | Cluster;
  keyPrefix: string;
  now?: () => number;
  onError?: (error: unknown) => void;
}

export function createWebhookTimers(options: TimerOptions): WebhookTimers {
  // The clock of this machine: BullMQ adds the delay of a job to the same clock, so the job runs at the given time.
  const { connection, keyPrefix, now = Date.now, onError = () => {} } = options;
  const queue = new Queue<LaneJob>(WEBHOOK_QUEUE, {
    connection,
    prefix: webhookPrefix(keyPrefix),
    streams: { events: { maxLen: 100 } },
    skipVersionCheck: true,
  });
  queue.on('error', onError);

  async function scheduleLanes(lanes: readonly DueLane[]): Promise<void> {
    const jobs = timerJobs(lanes, now());
    if (jobs.length === 0) return;
    try {
      await queue.addBulk(jobs);
    } catch (error) {
      onError(error);
    }
  }

  return {
    scheduleLanes,
    scheduleDeliveries: (deliveries) =>
      scheduleLanes([...new Set(deliveries.map(laneOf))].map((lane) => ({ lane, atMs: 0 }))),
    close: () => queue.close(),
  };
}

/**
 * Creates one job for each lane and second, however many deliveries are due: a dead endpoint with a million deliveries needs no
 * more Redis memory than an endpoint with ten. Times are rounded up, so that the deliveries are due when the job runs.
 */
export function timerJobs(lanes: readonly DueLane[], nowMs: number) {
  const jobs = new Map<string, ReturnType<typeof timerJob>>();
  for (const { lane, atMs } of lanes) {
    const job = timerJob(lane, atMs <= nowMs ? null : Math.ceil(atMs / 1_000), nowMs);
    jobs.set(job.opts.jobId, job);
  }
  return [...jobs.values()];
}

function timerJob(lane: string, second: number | null, nowMs: number) {
  return {
    name: 'lane',
    data: { lane },
    opts: {
      jobId: `${lane}-${second ?? 'now'}`,
      delay: second === null ? 0 : second * 1_000 - nowMs,
      removeOnComplete: true,
      removeOnFail: true,
    },
  };
}
