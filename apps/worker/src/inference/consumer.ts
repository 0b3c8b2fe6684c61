/** Takes the jobs of one model from BullMQ and passes their predictions to the dispatcher. */

import { sharedNow } from '@millrace/shared/postgres/clock';
import { shardOf } from '@millrace/shared/predictions/ids';
import { FAILED_KEPT, NewerJobError, type PredictJob, parsePredictJob } from '@millrace/shared/queue/job';
import type { Connection } from '@millrace/shared/redis/connection';
import type { Keys } from '@millrace/shared/redis/keys';
import { untilWritable } from '@millrace/shared/redis/until-writable';
import { DelayedError, type Job, UnrecoverableError, WaitingError, Worker } from 'bullmq';
import type { Logger } from 'pino';
import { HandedBack } from './dispatcher.ts';
import { JobLocks } from './job-locks.ts';

/** Interval at which BullMQ checks for jobs without a lock. Two checks move a job back. heartbeat.ts removes the locks of dead workers. */
const STALLED_INTERVAL_MS = 500;
/** A job that this worker cannot run now is tried again after this time. */
const HAND_BACK_MS = 1_000;

/** Interval at which a worker that holds enough rows checks the queue for work of a higher priority. */
const URGENT_LOOK_MS = 100;
/** BullMQ's score of a job with a priority is the priority times this number, plus a counter. */
const SCORE_OF_PRIORITY = 0x1_0000_0000;

/** Rows of a job that can be begun before its predictions are taken, and the time at which the job was added (Unix ms). */
export interface Ahead {
  rows: readonly string[];
  addedAt: number;
}

/** The predictions of a job that this worker keeps and computes. */
export interface Held {
  /** Its name in BullMQ. */
  job: string;
  model: string;
  version: string;
  ids: string[];
  /** Rows of each prediction. Absent when each prediction has one row. */
  rows: readonly number[] | undefined;
  /** BullMQ's number. */
  priority: number;
  /** Time at which an API process added the job (Unix ms). */
  addedAt: number;
  ahead: Ahead | undefined;
}

export interface ConsumerDeps {
  connect(): Connection;
  keys: Keys;
  workerId: string;
  /** Most jobs held at once. Jobs of a higher priority than the waiting rows can exceed this number. */
  concurrency: number;
  lockMs: number;
  /** Rows of the model that wait in this worker, of this priority or more urgent priorities. Without `priority`: of all priorities. */
  waitingRows(model: string, priority?: number): number;
  /** The number of waiting rows that is enough, and the most rows that are kept of one job. */
  holdRows(model: string): number;
  /** Resolves when every prediction has ended. Rejects when the job must be tried again. */
  compute(held: Held): Promise<void>;
  onLocksLost(count: number): void;
  log: Logger;
}

export interface Consumer {
  readonly model: string;
  /** Number of jobs that are held now. */
  readonly active: number;
  /** Whether this consumer holds a job under that lock token. */
  holds(job: string, token: string): boolean;
  /** Time at which a job last arrived or ended (monotonic clock, ms). */
  readonly lastMoveAt: number;
  /** Takes no more jobs until `resume`. Running jobs continue. A job that is in transit still arrives. */
  pause(): void;
  resume(): void;
  /** Takes no more jobs. Resolves when the running jobs have ended. */
  close(): Promise<void>;
}

export function startConsumer(model: string, deps: ConsumerDeps): Consumer {
  const { keys, workerId, concurrency, lockMs, log } = deps;
  let active = 0;
  /** Lock token of each held job. */
  const held = new Map<string, string>();
  let lastMoveAt = performance.now();
  // Rows of jobs that BullMQ has fetched and not started. BullMQ fetches as many jobs as its concurrency allows before the start of a job.
  const arriving = new Map<string, number>();
  let timer: NodeJS.Timeout | undefined;
  let closing = false;
  let paused = false;
  const connection = deps.connect();
  const locks = new JobLocks(connection, lockMs);
  const worker = new Worker<PredictJob>(
    model,
    async (job, token) => {
      active += 1;
      held.set(job.id as string, token as string);
      const lock = `${worker.toKey(job.id as string)}:lock`;
      locks.hold(lock, token as string);
      lastMoveAt = performance.now();
      try {
        const { version, ids, rows, ahead } = readJob(job);
        // A job that was started before can have ended its worker. Its rows are not begun ahead, because one of them can be harmful.
        const begun = ahead === undefined || job.attemptsStarted > 1;
        const kept = keptOf(ids, rows, deps.holdRows(model));
        const computing = deps.compute({
          job: job.id as string,
          model,
          version,
          ids: kept === ids.length ? ids : ids.slice(0, kept),
          rows: rows?.slice(0, kept),
          priority: job.priority,
          addedAt: job.timestamp,
          ahead: begun ? undefined : { rows: ahead, addedAt: job.timestamp },
        });
        arriving.delete(job.id as string);
        hold();
        await computing;
        if (kept === ids.length) return;
        // The rest goes back to the head of its priority. This worker takes the rest after more urgent work, or another worker takes the rest.
        const rest = { ...job.data, ids: ids.slice(kept), ...(rows ? { rows: rows.slice(kept) } : {}) };
        await untilWritable(() => job.updateData(rest));
        await handBack(job, token);
        throw new WaitingError();
      } catch (error) {
        if (error instanceof WaitingError) throw error;
        // The job stays in the queue for every other error (a version that is not loaded yet, an engine that cannot start).
        if (error instanceof UnrecoverableError) throw error;
        if (error instanceof HandedBack) {
          await handBack(job, token);
          throw new WaitingError();
        }
        log.warn({ err: error, model, job: job.id }, 'a job is handed back');
        // BullMQ would end the job as failed after a refused write, and no job would carry its predictions.
        await untilWritable(() => job.moveToDelayed(sharedNow() + HAND_BACK_MS, token));
        throw new DelayedError();
      } finally {
        active -= 1;
        // After a lost lock, this worker can have taken the job again. The job is then held under the newer token.
        if (held.get(job.id as string) === token) held.delete(job.id as string);
        arriving.delete(job.id as string);
        locks.release(lock, token as string);
        lastMoveAt = performance.now();
        hold();
      }
    },
    {
      connection,
      prefix: keys.bull(shardOf(model)),
      concurrency,
      lockDuration: lockMs,
      stalledInterval: STALLED_INTERVAL_MS,
      // Millrace counts lost executions by prediction, and ends a prediction with a reason (take.lua).
      maxStalledCount: 1_000_000,
      removeOnComplete: { count: 0 },
      removeOnFail: { count: FAILED_KEPT },
      runRetryDelay: 500,
      skipVersionCheck: true,
      autorun: false,
    },
  );
  /**
   * An unreadable job ends as failed. A failed job carries no prediction (`carries` in lib.lua), so the reconciler gives its
   * predictions new jobs.
   */
  function readJob(job: Job<PredictJob>): PredictJob {
    try {
      return parsePredictJob(job.data);
    } catch (error) {
      if (error instanceof NewerJobError) throw error;
      log.error(
        { err: error, model, job: job.id },
        'a job cannot be read: the job is dropped, and the ledger has its promises',
      );
      throw new UnrecoverableError((error as Error).message);
    }
  }

  /**
   * Puts a job back at the head of the waiting jobs, so that another worker can take the job at once. A delay of 0 ms would last until
   * the clock of the other worker has reached the clock of this worker. BullMQ (6.7) wakes no idle worker for a job with a priority
   * that is moved back. The added marker wakes a worker, because idle workers block on the marker.
   */
  async function handBack(job: Job<PredictJob>, token: string | undefined): Promise<void> {
    await untilWritable(() => job.moveToWait(token));
    await connection.zadd(worker.toKey('marker'), 0, '0');
  }

  const isEnough = (priority?: number): boolean => {
    let rows = deps.waitingRows(model, priority);
    for (const coming of arriving.values()) rows += coming;
    return rows >= deps.holdRows(model);
  };

  /** Takes no further jobs while enough rows wait here, except jobs that are more urgent than these rows. */
  function hold(): void {
    const enough = isEnough();
    worker.concurrency = enough ? Math.max(1, Math.min(concurrency, active + arriving.size)) : concurrency;
    if (!enough || closing || timer !== undefined) return;
    timer = setTimeout(() => {
      look()
        .catch((error: unknown) => log.debug({ err: error, model }, 'the head of the queue cannot be read'))
        .finally(() => {
          timer = undefined;
          hold();
        });
    }, URGENT_LOOK_MS);
  }

  async function look(): Promise<void> {
    if (closing || paused || active === 0) return;
    if (isEnough()) {
      const [, score] = await connection.zrange(worker.toKey('prioritized'), '0', '0', 'WITHSCORES');
      if (score === undefined || closing || paused) return;
      // If a job ended meanwhile and its rows are missing now, BullMQ fetches the head of the queue itself. A second job would be too much.
      if (!isEnough() || isEnough(Math.floor(Number(score) / SCORE_OF_PRIORITY))) return;
      worker.concurrency = active + arriving.size + 1;
    } else worker.concurrency = concurrency;
    // BullMQ (6.7) reads its concurrency when a job ends. `resume` after a pause makes BullMQ read the concurrency now.
    void worker.pause(true);
    await worker.resume();
  }

  // Lock tokens begin with this id. heartbeat.ts recognizes the jobs of dead workers by the id.
  Object.assign(worker, { id: workerId });
  worker.on('error', (error) => log.debug({ err: error, model }, 'consumer error'));
  worker.on('active', ({ id, data }) => {
    const { ids, rows } = (data ?? {}) as Partial<PredictJob>;
    const count = Array.isArray(rows) ? rows.reduce((sum, one) => sum + one, 0) : (ids?.length ?? 0);
    arriving.set(id as string, Math.min(count, deps.holdRows(model)));
    hold();
  });
  worker.on('failed', (job) => void arriving.delete(job?.id ?? ''));
  worker.on('lockRenewalFailed', (jobs: string[]) => deps.onLocksLost(jobs.length));
  const running = worker
    .run()
    .catch((error) => log.error({ err: error, model }, 'the consumer has stopped with an error'));
  return {
    model,
    get active() {
      return active;
    },
    holds: (job, token) => held.get(job) === token,
    get lastMoveAt() {
      return lastMoveAt;
    },
    pause() {
      paused = true;
      void worker.pause(true);
    },
    resume() {
      paused = false;
      // The paused time does not count as idle time.
      lastMoveAt = performance.now();
      void worker.resume();
    },
    async close() {
      closing = true;
      clearTimeout(timer);
      await worker.close();
      await running;
      locks.close();
      connection.disconnect();
    },
  };
}

/** Number of the first predictions to keep: as many as have at most `most` rows together, and at least one prediction. */
function keptOf(ids: readonly string[], rows: readonly number[] | undefined, most: number): number {
  if (rows === undefined) return Math.min(ids.length, Math.max(1, most));
  let sum = 0;
  for (const [at, count] of rows.entries()) {
    sum += count;
    if (sum > most && at > 0) return at;
  }
  return ids.length;
}
