/**
 * When lanes are to be looked at: BullMQ as a clock that all workers share. A job says that a lane has something due and
 * no more, since what is due stands in Postgres; one that is lost costs the time until a worker's next sweep.
 */
import { Queue } from 'bullmq';
import type { Connection } from '../redis/connection.ts';
import { type Destination, laneOf } from './lane.ts';

export const WEBHOOK_QUEUE = 'webhooks';
/** One hash slot for all of the queue. */
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
   * Has deliveries that are committed and due now attempted at once. Call it after the commit; never rejects, since
   * the sweep finds what this could not tell.
   */
  scheduleDeliveries(deliveries: readonly Destination[]): Promise<void>;
  /** The same for lanes that are due at some time. */
  scheduleLanes(lanes: readonly DueLane[]): Promise<void>;
  close(): Promise<void>;
}

export interface TimerOptions {
  /** A `producer` connection, which stays the caller's to close. */
  connection: Connection;
  keyPrefix: string;
  now?: () => number;
  onError?: (error: Error) => void;
}

export function createWebhookTimers(options: TimerOptions): WebhookTimers {
  // The clock of this machine: BullMQ adds a job's delay to the same clock, so the due time comes out as it was given.
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
      onError(error as Error);
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
 * One job for a lane and second, however many deliveries are due then: a dead endpoint with a million deliveries keeps
 * Redis as small as one with ten. Rounded up, so that what is due is due when the job runs.
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
