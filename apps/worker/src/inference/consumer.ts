/** BullMQ's side of inference: one consumer per model, which hands the ids of its jobs to the dispatcher. */

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

/** BullMQ looks for jobs without a lock this often; two looks move one back. The janitor frees those of dead workers. */
const STALLED_INTERVAL_MS = 500;
/** A job that cannot be done here now is tried again after this long. */
const HAND_BACK_MS = 1_000;

/** While this worker holds enough, it looks this often whether work of a higher priority waits in the queue. */
const URGENT_LOOK_MS = 100;
/** BullMQ's score of a job that has a priority is the priority times this, plus a counter. */
const SCORE_OF_PRIORITY = 0x1_0000_0000;

/** Rows of a job that may be begun with before its predictions are taken, and when it was added (Unix ms, its API's clock). */
export interface Ahead {
  rows: readonly string[];
  addedAt: number;
}

/** The predictions of a job that this worker keeps, to be computed. */
export interface Held {
  /** Its name in BullMQ. */
  job: string;
  model: string;
  version: string;
  ids: string[];
  /** Rows of each prediction; absent where each has one. */
  rows: readonly number[] | undefined;
  /** BullMQ's number. */
  priority: number;
  /** Unix ms, by the clock of the API process that added the job. */
  addedAt: number;
  ahead: Ahead | undefined;
}

export interface ConsumerDeps {
  connect(): Connection;
  keys: Keys;
  workerId: string;
  /** Most jobs held at once, but for jobs of a higher priority than those that wait here. */
  concurrency: number;
  lockMs: number;
  /** Rows of the model that wait in this worker, of this priority or a more urgent one; of all priorities if absent. */
  waitingRows(model: string, priority?: number): number;
  /** How many waiting rows are enough, and the most that are kept of one job. */
  holdRows(model: string): number;
  /** Resolves when every prediction needs nothing more; rejects when the job should be tried again. */
  compute(held: Held): Promise<void>;
  onLocksLost(count: number): void;
  log: Logger;
}

export interface Consumer {
  readonly model: string;
  /** Jobs held now. */
  readonly active: number;
  /** Whether a job is held under that lock token. */
  holds(job: string, token: string): boolean;
  /** When a job last came or ended, on the monotonic clock. */
  readonly lastMoveAt: number;
  /** Takes no more jobs until `resume`; what is under way goes on. A job that is on its way still comes. */
  pause(): void;
  resume(): void;
  /** Takes no more jobs and resolves when those under way are done. */
  close(): Promise<void>;
}

export function startConsumer(model: string, deps: ConsumerDeps): Consumer {
  const { keys, workerId, concurrency, lockMs, log } = deps;
  let active = 0;
  /** Lock token of each job held. */
  const held = new Map<string, string>();
  let lastMoveAt = performance.now();
  // Jobs that BullMQ has fetched and not begun yet: it fetches as many as it may before it begins any.
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
        // A job that was begun before may have ended its worker: its rows wait until each is known to be harmless.
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
        // The rest goes back, in front of its priority: for this worker after what is more urgent, or for another one.
        const rest = { ...job.data, ids: ids.slice(kept), ...(rows ? { rows: rows.slice(kept) } : {}) };
        await untilWritable(() => job.updateData(rest));
        await handBack(job, token);
        throw new WaitingError();
      } catch (error) {
        if (error instanceof WaitingError) throw error;
        // Whatever it was (a version not here yet, an engine that cannot start), the job stays: nothing is lost.
        if (error instanceof UnrecoverableError) throw error;
        if (error instanceof HandedBack) {
          await handBack(job, token);
          throw new WaitingError();
        }
        log.warn({ err: error, model, job: job.id }, 'a job is handed back');
        // BullMQ would end the job as failed if this were refused, and nothing would carry its predictions.
        await untilWritable(() => job.moveToDelayed(sharedNow() + HAND_BACK_MS, token));
        throw new DelayedError();
      } finally {
        active -= 1;
        // Taken again meanwhile, after its lock was lost: it is held under the newer token.
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
      // We count lost executions ourselves, by prediction, and end them with a reason.
      maxStalledCount: 1_000_000,
      removeOnComplete: { count: 0 },
      removeOnFail: { count: FAILED_KEPT },
      runRetryDelay: 500,
      skipVersionCheck: true,
      autorun: false,
    },
  );
  /**
   * A job that nobody can read ends as failed. It then carries no prediction any more (`carries` in lib.lua), and the
   * reconciler gives those that it named a new one.
   */
  function readJob(job: Job<PredictJob>): PredictJob {
    try {
      return parsePredictJob(job.data);
    } catch (error) {
      if (error instanceof NewerJobError) throw error;
      log.error(
        { err: error, model, job: job.id },
        'a job cannot be read: it is dropped, and the ledger has its promises',
      );
      throw new UnrecoverableError((error as Error).message);
    }
  }

  /**
   * Puts a job back in front of those that wait, for others to take at once. Not by a delay of nothing: that ends when
   * the taker's clock has reached ours. BullMQ (6.7) wakes no idle worker for a job that it moves back so, if that has a
   * priority, as all of ours have; the marker is what they block on.
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

  /** Takes no further jobs while enough rows wait here, but for jobs that are more urgent than those rows. */
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
      if (score === undefined || closing || paused || isEnough(Math.floor(Number(score) / SCORE_OF_PRIORITY))) return;
      worker.concurrency = active + arriving.size + 1;
    } else worker.concurrency = concurrency;
    // BullMQ (6.7) looks at its concurrency when a job ends; `resume` after such a pause makes it look now.
    void worker.pause(true);
    await worker.resume();
  }

  // Lock tokens begin with this id, by which the janitor tells the jobs of the dead.
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
  const running = worker.run().catch((error) => log.error({ err: error, model }, 'the consumer has stopped'));
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
      // The time that it was paused is no time in which it took nothing.
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

/** How many of the first predictions are kept: as many as have at most `most` rows, and one at least. */
function keptOf(ids: readonly string[], rows: readonly number[] | undefined, most: number): number {
  if (rows === undefined) return Math.min(ids.length, Math.max(1, most));
  let sum = 0;
  for (const [at, count] of rows.entries()) {
    sum += count;
    if (sum > most && at > 0) return at;
  }
  return ids.length;
}
