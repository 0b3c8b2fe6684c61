/**
 * The clock that all processes share is the clock of Postgres. Each process measures the difference between its own clock and the
 * clock of Postgres, corrects the time of shared data by this difference, and stops its work when the difference is too large.
 *
 * This file is beside the database code because only Postgres decides the time: retention, deadlines and due times are compared
 * with values in Postgres. The clock of Redis decides only the lifetime of a key in Redis and the age of an entry of a stream.
 */
import { onConnection, type Pool } from './db.ts';
import { firstRow } from './first-row.ts';

/** A reading of the clock of Postgres together with the monotonic clock of this process. Milliseconds. */
interface Reading {
  /** Postgres's Unix time minus the monotonic clock. */
  baseMs: number;
  /** The maximum error of the reading: half the round trip. */
  errorMs: number;
  /** The time of the reading on the monotonic clock. */
  takenAt: number;
}

/** Two clocks that run freely drift apart by less than this ratio: a hundred millionths. */
const DRIFT = 1e-4;
/** The resolution of `Date.now()`, which counts whole milliseconds. */
const GRAIN_MS = 2;
/** A wall clock that differs by more than this time from the monotonic clock during a round trip was set. */
const STEP_MS = 50;
const READ_EVERY_MS = 2_000;
const CHECK_EVERY_MS = 250;

// A global of the process, as Date is: all parts of the process must agree on the time.
let reading: Reading | undefined;

const errorOf = ({ errorMs, takenAt }: Reading, at: number): number => errorMs + (at - takenAt) * DRIFT;

/**
 * Returns the time that all processes share, in whole Unix milliseconds: for every time that another process, a store or a client
 * can see. Use `performance.now()` for durations: the shared time may jump. Before the first measurement the function returns the
 * time of this machine.
 */
export function sharedNow(): number {
  const own = Date.now();
  if (reading === undefined) return own;
  const at = performance.now();
  const shared = reading.baseMs + at;
  // Within the error of the measurement the clock of this machine is as exact, and does not jump with each reading.
  return Math.abs(own - shared) <= errorOf(reading, at) + GRAIN_MS ? own : Math.round(shared);
}

/** Reads the clock of Postgres, in Unix milliseconds. */
export async function postgresNow(db: Pick<Pool, 'query'>): Promise<number> {
  const { rows } = await db.query<{ ms: number }>(
    'SELECT (extract(epoch FROM clock_timestamp()) * 1000)::float8 AS ms',
  );
  return firstRow(rows).ms;
}

export interface ClockOptions {
  db: Pool;
  /** The largest difference from the clock of Postgres at which this process works. */
  maxSkewMs: number;
  /** Receives the duration of each reading in milliseconds, with its error if the reading failed. */
  onRead?(ms: number, error?: unknown): void;
  log: {
    error(fields: object, message: string): void;
    warn(fields: object, message: string): void;
    info(fields: object, message: string): void;
    debug(fields: object, message: string): void;
  };
}

/** Postgres counts as away after failed readings for this time. */
const AWAY_MS = 3_000;

/** The state of the clock. The parts of a process check the clock before they take work, delete or expire. */
export interface Clock {
  /** A sentence that names the difference while the difference is too large, else undefined. Costs two readings of a clock. */
  fault(): string | undefined;
  /** The clock of this process minus the clock of Postgres, in seconds: positive when this process is ahead. */
  skewS(): number;
  /** Calls `callback` with the fault when the clock becomes wrong, and with undefined when the clock is right again. */
  onChange(callback: (fault: string | undefined) => void): void;
  close(): Promise<void>;
}

/** Resolves after the first measurement. Rejects when Postgres does not respond. */
export async function startClock(options: ClockOptions): Promise<Clock> {
  const clock = new MeasuredClock(options);
  await clock.start();
  return clock;
}

class MeasuredClock implements Clock {
  readonly #options: ClockOptions;
  readonly #callbacks: ((fault: string | undefined) => void)[] = [];
  #wasWrong = false;
  #reads: Promise<void> | undefined;
  #readAt = Number.NEGATIVE_INFINITY;
  #timer: NodeJS.Timeout | undefined;
  /** When the readings began to fail, and whether the log says so. */
  #failing: { since: number; logged: boolean } | undefined;

  constructor(options: ClockOptions) {
    this.#options = options;
  }

  async start(): Promise<void> {
    // If the wall clock is set during a round trip, the reading is discarded, and the next attempt reads the clock again.
    for (let attempts = 0; attempts < 5; attempts += 1) {
      await this.#read();
      if (reading !== undefined) break;
    }
    this.#check();
    this.#timer = setInterval(() => this.#check(), CHECK_EVERY_MS);
    this.#timer.unref();
  }

  fault(): string | undefined {
    const { maxSkewMs } = this.#options;
    const at = performance.now();
    const skew = skewMs(at);
    if (reading === undefined || Math.abs(skew) - errorOf(reading, at) <= maxSkewMs) return undefined;
    const seconds = (Math.abs(skew) / 1_000).toFixed(1);
    const side = skew > 0 ? 'ahead of' : 'behind';
    return (
      `The clock of this process is ${seconds} s ${side} the clock of Postgres, and at most ${maxSkewMs / 1_000} s is allowed ` +
      `(MAX_CLOCK_SKEW_MS): set the clock that is wrong, on this machine or on the machine of Postgres.`
    );
  }

  skewS(): number {
    return skewMs() / 1_000;
  }

  onChange(callback: (fault: string | undefined) => void): void {
    this.#callbacks.push(callback);
  }

  async close(): Promise<void> {
    clearInterval(this.#timer);
    await this.#reads?.catch(() => {});
  }

  /** Reads the clock of Postgres, or waits for the reading in progress. */
  #read(): Promise<void> {
    const begunAt = performance.now();
    this.#readAt = begunAt;
    const { onRead } = this.#options;
    this.#reads ??= readPostgres(this.#options.db)
      .then(
        (next) => {
          onRead?.(performance.now() - begunAt);
          this.#responds();
          if (next !== undefined && isBetter(next)) reading = next;
        },
        (error: unknown) => {
          onRead?.(performance.now() - begunAt, error);
          this.#isAway(error);
          throw error;
        },
      )
      .finally(() => {
        this.#reads = undefined;
      });
    return this.#reads;
  }

  #isAway(error: unknown): void {
    this.#failing ??= { since: performance.now(), logged: false };
    if (this.#failing.logged || performance.now() - this.#failing.since < AWAY_MS) return;
    this.#failing.logged = true;
    const reason = error instanceof Error ? error.message : String(error);
    this.#options.log.warn({ store: 'postgres', reason }, 'Postgres does not respond');
  }

  #responds(): void {
    if (this.#failing?.logged) {
      const seconds = Math.round((performance.now() - this.#failing.since) / 1_000);
      this.#options.log.info({ store: 'postgres', seconds }, 'Postgres responds again');
    }
    this.#failing = undefined;
  }

  /** Reports a change of the fault, and starts the next reading when the last reading is old. */
  #check(): void {
    const { log } = this.#options;
    const fault = this.fault();
    const isWrong = fault !== undefined;
    if (isWrong !== this.#wasWrong) {
      this.#wasWrong = isWrong;
      const fields = { skew_seconds: Number((skewMs() / 1_000).toFixed(3)) };
      if (isWrong) log.error(fields, `${fault} This process takes no work, deletes nothing and expires nothing.`);
      else log.info(fields, 'The clock of this process agrees with the clock of Postgres again: work continues.');
      for (const callback of this.#callbacks) callback(fault);
    }
    if (performance.now() - this.#readAt < (isWrong ? CHECK_EVERY_MS : READ_EVERY_MS)) return;
    // The last reading stays: while Postgres is unreachable, nothing shows that either clock was set.
    this.#read().catch((error: unknown) => log.debug({ err: error }, 'The clock of Postgres cannot be read.'));
  }
}

function skewMs(at = performance.now()): number {
  return reading === undefined ? 0 : Date.now() - (reading.baseMs + at);
}

/** Returns undefined when the wall clock was set, or the machine slept, during the round trip. */
function readPostgres(db: Pool): Promise<Reading | undefined> {
  // The connection is open before the round trip begins: the wait for a connection must not count.
  return onConnection(db, async (client) => {
    const [own, before] = [Date.now(), performance.now()];
    const shared = await postgresNow(client);
    const [ownAfter, takenAt] = [Date.now(), performance.now()];
    const tripMs = takenAt - before;
    if (Math.abs(ownAfter - own - tripMs) > STEP_MS) return undefined;
    return { baseMs: shared - (before + takenAt) / 2, errorMs: tripMs / 2, takenAt };
  });
}

/** Whether `next` replaces the last reading: because `next` is more exact, or because the readings differ and a clock was set. */
function isBetter(next: Reading): boolean {
  if (reading === undefined) return true;
  const error = errorOf(reading, next.takenAt);
  return next.errorMs <= error || Math.abs(next.baseMs - reading.baseMs) > next.errorMs + error;
}
