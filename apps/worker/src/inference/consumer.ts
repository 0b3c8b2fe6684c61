/** Takes the jobs of one model from BullMQ and passes their predictions to the dispatcher. */

import { sharedNow } from '@millrace/shared/postgres/clock';
import { shardOf } from '@millrace/shared/predictions/ids';
import { withTimeout } from '@millrace/shared/process/timeout';
import { FAILED_KEPT, NewerJobError, type PredictJob, parsePredictJob } from '@millrace/shared/queue/job';
import type { Connection } from '@millrace/shared/redis/connection';
import type { Keys } from '@millrace/shared/redis/keys';
import { untilWritable } from '@millrace/shared/redis/until-writable';
import { DelayedError, type Job, type Processor, UnrecoverableError, WaitingError } from 'bullmq';
import type { Logger } from 'pino';
import { HandedBack } from './dispatcher.ts';
import { JobLocks } from './job-locks.ts';
import { JobWorker } from './job-worker.ts';

/** Interval at which BullMQ checks for jobs without a lock. Two checks move a job back. heartbeat.ts removes the locks of dead workers. */
const STALLED_INTERVAL_MS = 500;
/** A job that this worker cannot run now is tried again after this time. */
const HAND_BACK_MS = 1_000;

/** Interval at which a worker that holds enough rows checks the queue for work of a higher priority. */
const URGENT_LOOK_MS = 100;
/** BullMQ's score of a job with a priority is the priority times this number, plus a counter. */
const SCORE_OF_PRIORITY = 0x1_0000_0000;

/** KEYS: the marker, then the list and the set of waiting jobs. Sets the marker if a job waits. */
const WAKE = `if redis.call('EXISTS', KEYS[2], KEYS[3]) > 0 then redis.call('ZADD', KEYS[1], 0, '0') end`;
/** A consumer also closes while Redis is away. */
const WAKE_MS = 1_000;

/** Rows of a job that can be begun before its predictions are taken, and the time at which the job was added (Unix ms). */
export interface Ahead {
  rows: readonly string[];
  slots: readonly string[];
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

/** Takes the jobs of one model from BullMQ, and holds each job until its predictions have ended. */
class JobConsumer implements Consumer {
  readonly model: string;
  readonly #deps: ConsumerDeps;
  readonly #connection: Connection;
  readonly #locks: JobLocks;
  readonly #worker: JobWorker;
  readonly #running: Promise<void>;
  /** Lock token of each held job. */
  readonly #held = new Map<string, string>();
  // Rows of jobs that BullMQ has fetched and not started. BullMQ fetches as many jobs as its concurrency allows before the start of a job.
  readonly #arriving = new Map<string, number>();
  #timer: NodeJS.Timeout | undefined;
  #isClosing = false;
  #isPaused = false;
  #active = 0;
  #lastMoveAt = performance.now();

  constructor(model: string, deps: ConsumerDeps) {
    this.model = model;
    this.#deps = deps;
    this.#connection = deps.connect();
    this.#locks = new JobLocks(this.#connection, deps.lockMs);
    const options = {
      connection: this.#connection,
      prefix: deps.keys.bull(shardOf(model)),
      concurrency: deps.concurrency,
      lockDuration: deps.lockMs,
      ...WORKER_OPTIONS,
    };
    const process: Processor<PredictJob> = (job, token) => this.#process(job, token as string);
    this.#worker = new JobWorker(model, process, { options, workerId: deps.workerId });
    // Lock tokens begin with this id. heartbeat.ts recognizes the jobs of dead workers by the id.
    Object.assign(this.#worker, { id: deps.workerId });
    this.#listen();
    this.#running = this.#worker
      .run()
      .catch((error) => deps.log.error({ err: error, model }, 'the consumer has stopped with an error'));
  }

  get active(): number {
    return this.#active;
  }

  get lastMoveAt(): number {
    return this.#lastMoveAt;
  }

  holds(job: string, token: string): boolean {
    return this.#held.get(job) === token;
  }

  pause(): void {
    this.#isPaused = true;
    void this.#worker.pause(true);
  }

  resume(): void {
    this.#isPaused = false;
    // The paused time does not count as idle time.
    this.#lastMoveAt = performance.now();
    void this.#worker.resume();
  }

  async close(): Promise<void> {
    this.#isClosing = true;
    clearTimeout(this.#timer);
    await this.#worker.close();
    await this.#running;
    this.#locks.close();
    await this.#wakeOther().catch(() => {});
    this.#connection.disconnect();
  }

  #listen(): void {
    const { log, onLocksLost, holdRows } = this.#deps;
    this.#worker.on('error', (error) => log.debug({ err: error, model: this.model }, 'consumer error'));
    this.#worker.on('active', ({ id, data }) => {
      const { ids, rows } = (data ?? {}) as Partial<PredictJob>;
      const count = Array.isArray(rows) ? rows.reduce((sum, one) => sum + one, 0) : (ids?.length ?? 0);
      this.#arriving.set(id as string, Math.min(count, holdRows(this.model)));
      this.#hold();
    });
    this.#worker.on('failed', (job) => void this.#arriving.delete(job?.id ?? ''));
    this.#worker.on('lockRenewalFailed', (jobs: string[]) => onLocksLost(jobs.length));
  }

  async #process(job: Job<PredictJob>, token: string): Promise<void> {
    const id = job.id as string;
    this.#active += 1;
    this.#held.set(id, token);
    const lock = `${this.#worker.toKey(id)}:lock`;
    this.#locks.hold(lock, token);
    this.#lastMoveAt = performance.now();
    try {
      await this.#computeJob(job, token);
    } catch (error) {
      if (error instanceof WaitingError) throw error;
      // The job stays in the queue for every other error (a version that is not loaded yet, an engine that cannot start).
      if (error instanceof UnrecoverableError) throw error;
      if (error instanceof HandedBack) {
        await this.#handBack(job, token);
        throw new WaitingError();
      }
      this.#deps.log.warn({ err: error, model: this.model, job: id }, 'a job is handed back');
      // BullMQ would end the job as failed after a refused write, and no job would carry its predictions.
      await untilWritable(() => job.moveToDelayed(sharedNow() + HAND_BACK_MS, token));
      throw new DelayedError();
    } finally {
      this.#active -= 1;
      // After a lost lock, this worker can have taken the job again. The job is then held under the newer token.
      if (this.#held.get(id) === token) this.#held.delete(id);
      this.#arriving.delete(id);
      this.#locks.release(lock, token);
      this.#lastMoveAt = performance.now();
      this.#hold();
    }
  }

  async #computeJob(job: Job<PredictJob>, token: string): Promise<void> {
    const { model } = this;
    const id = job.id as string;
    const { version, ids, rows, ahead = [], slots = [] } = this.#readJob(job);
    const kept = keptOf(ids, rows, this.#deps.holdRows(model));
    // A job that was started before can have ended its worker. Its rows are not begun ahead, because one of them can be harmful. The rows
    // of a part of the job are not known, and the rows of the rest would delay the part and run twice.
    const begins = job.attemptsStarted === 1 && kept === ids.length;
    const computing = this.#deps.compute({
      job: id,
      model,
      version,
      ids: kept === ids.length ? ids : ids.slice(0, kept),
      rows: rows?.slice(0, kept),
      priority: job.priority,
      addedAt: job.timestamp,
      ahead: begins ? { rows: ahead, slots, addedAt: job.timestamp } : undefined,
    });
    this.#arriving.delete(id);
    this.#hold();
    await computing;
    if (kept === ids.length) return;
    // The rest goes back to the head of its priority. This worker takes the rest after more urgent work, or another worker takes the rest.
    const rest = { ...job.data, ids: ids.slice(kept), ...(rows ? { rows: rows.slice(kept) } : {}) };
    await untilWritable(() => job.updateData(rest));
    await this.#handBack(job, token);
    throw new WaitingError();
  }

  /**
   * An unreadable job ends as failed. A failed job carries no prediction (`carries` in lib.lua), so the reconciler gives its
   * predictions new jobs.
   */
  #readJob(job: Job<PredictJob>): PredictJob {
    try {
      return parsePredictJob(job.data);
    } catch (error) {
      if (error instanceof NewerJobError) throw error;
      this.#deps.log.error(
        { err: error, model: this.model, job: job.id },
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
  async #handBack(job: Job<PredictJob>, token: string): Promise<void> {
    await untilWritable(() => job.moveToWait(token));
    await this.#connection.zadd(this.#worker.toKey('marker'), 0, '0');
  }

  /**
   * The last wait of this worker can have removed the marker of a job that arrived while the connection closed. Without a marker the
   * job would wait for the end of another worker's wait, which takes up to 5 s.
   */
  async #wakeOther(): Promise<void> {
    const keys = ['marker', 'wait', 'prioritized'].map((name) => this.#worker.toKey(name));
    await withTimeout(WAKE_MS, this.#connection.eval(WAKE, keys.length, ...keys), 'the wake-up of another worker');
  }

  #isEnough(priority?: number): boolean {
    const { waitingRows, holdRows } = this.#deps;
    let rows = waitingRows(this.model, priority);
    for (const coming of this.#arriving.values()) rows += coming;
    return rows >= holdRows(this.model);
  }

  /** Takes no further jobs while enough rows wait here, except jobs that are more urgent than these rows. */
  #hold(): void {
    const { concurrency, log } = this.#deps;
    const enough = this.#isEnough();
    const own = this.#active + this.#arriving.size;
    this.#worker.concurrency = enough ? Math.max(1, Math.min(concurrency, own)) : concurrency;
    if (!enough || this.#isClosing || this.#timer !== undefined) return;
    this.#timer = setTimeout(() => {
      this.#takeUrgent()
        .catch((error: unknown) => log.debug({ err: error, model: this.model }, 'the head of the queue cannot be read'))
        .finally(() => {
          this.#timer = undefined;
          // With too few rows the next job that arrives or ends sets the limit.
          if (this.#isEnough()) this.#hold();
        });
    }, URGENT_LOOK_MS);
  }

  /** Takes the job at the head of the queue if the job is more urgent than the rows that wait here. */
  async #takeUrgent(): Promise<void> {
    const isStopped = () => this.#isClosing || this.#isPaused;
    if (isStopped() || this.#active === 0) return;
    if (this.#isEnough()) {
      const [, score] = await this.#connection.zrange(this.#worker.toKey('prioritized'), '0', '0', 'WITHSCORES');
      if (score === undefined || isStopped()) return;
      // If a job has ended since then, BullMQ fetches the head of the queue for the missing rows. A second job would be too much.
      if (!this.#isEnough() || this.#isEnough(Math.floor(Number(score) / SCORE_OF_PRIORITY))) return;
    }
    // The limit grows by one job, also when too few rows wait. BullMQ may be fetching a job in place of a job that has just ended, and
    // counts the ended job during the fetch. A higher limit would take a second job.
    this.#worker.concurrency = Math.min(this.#deps.concurrency, this.#active + this.#arriving.size + 1);
    // BullMQ (6.7) reads its concurrency when a job ends. `resume` after a pause makes BullMQ read the concurrency now.
    void this.#worker.pause(true);
    await this.#worker.resume();
  }
}

const WORKER_OPTIONS = {
  stalledInterval: STALLED_INTERVAL_MS,
  // Millrace counts lost executions by prediction, and ends a prediction with a reason (take.lua).
  maxStalledCount: 1_000_000,
  removeOnComplete: { count: 0 },
  removeOnFail: { count: FAILED_KEPT },
  runRetryDelay: 500,
  skipVersionCheck: true,
  autorun: false,
} as const;

export const startConsumer = (model: string, deps: ConsumerDeps): Consumer => new JobConsumer(model, deps);

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
