/** BullMQ's side of inference: one consumer per model, which hands the ids of its jobs to the dispatcher. */

import { shardOf } from '@millrace/shared/ids';
import { NewerJobError, type PredictJob, parsePredictJob } from '@millrace/shared/job';
import type { Keys } from '@millrace/shared/keys';
import { sharedNow } from '@millrace/shared/postgres/clock';
import type { Connection } from '@millrace/shared/redis';
import { DelayedError, type Job, UnrecoverableError, WaitingError, Worker } from 'bullmq';
import type { Logger } from 'pino';
import { HandedBack } from './dispatcher.ts';

/** BullMQ looks for jobs without a lock this often; two looks move one back. The janitor frees those of dead workers. */
const STALLED_INTERVAL_MS = 500;
/** A job that cannot be done here now is tried again after this long. */
const HAND_BACK_MS = 1_000;

/** Rows of a job that may be begun with before its predictions are taken, and when it was added (Unix ms, its API's clock). */
export interface Ahead {
  rows: readonly string[];
  addedAt: number;
}

export interface ConsumerMeans {
  connect(): Connection;
  keys: Keys;
  workerId: string;
  concurrency: number;
  lockMs: number;
  /** Resolves when every prediction of the job needs nothing more; rejects when it should be tried again. */
  compute(model: string, version: string, ids: string[], ahead: Ahead | undefined): Promise<void>;
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

export function startConsumer(model: string, means: ConsumerMeans): Consumer {
  const { keys, workerId, concurrency, lockMs, log } = means;
  let active = 0;
  /** Lock token of each job held. */
  const held = new Map<string, string>();
  let lastMoveAt = performance.now();
  const connection = means.connect();
  const worker = new Worker<PredictJob>(
    model,
    async (job, token) => {
      active += 1;
      held.set(job.id as string, token as string);
      lastMoveAt = performance.now();
      try {
        const { version, ids, ahead } = readJob(job);
        // A job that was begun before may have ended its worker: its rows wait until each is known to be harmless.
        const begun = ahead === undefined || job.attemptsStarted > 1;
        await means.compute(model, version, ids, begun ? undefined : { rows: ahead, addedAt: job.timestamp });
      } catch (error) {
        // Whatever it was (a version not here yet, an engine that cannot start), the job stays: nothing is lost.
        if (error instanceof UnrecoverableError) throw error;
        if (error instanceof HandedBack) {
          await handBack(job, token);
          throw new WaitingError();
        }
        log.warn({ err: error, model, job: job.id }, 'a job is handed back');
        await job.moveToDelayed(sharedNow() + HAND_BACK_MS, token);
        throw new DelayedError();
      } finally {
        active -= 1;
        // Taken again meanwhile, after its lock was lost: it is held under the newer token.
        if (held.get(job.id as string) === token) held.delete(job.id as string);
        lastMoveAt = performance.now();
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
      removeOnFail: { count: 1_000 },
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
    await job.moveToWait(token);
    await connection.zadd(worker.toKey('marker'), 0, '0');
  }

  // Lock tokens begin with this id, by which the janitor tells the jobs of the dead.
  Object.assign(worker, { id: workerId });
  worker.on('error', (error) => log.debug({ err: error, model }, 'consumer error'));
  worker.on('lockRenewalFailed', (jobs: string[]) => means.onLocksLost(jobs.length));
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
    pause: () => void worker.pause(true),
    resume() {
      // The time that it was paused is no time in which it took nothing.
      lastMoveAt = performance.now();
      void worker.resume();
    },
    async close() {
      await worker.close();
      await running;
      connection.disconnect();
    },
  };
}
