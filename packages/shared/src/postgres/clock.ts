/**
 * The clock that all processes share is the clock of Postgres. Each process measures how far its own clock is from it, takes
 * the time of shared data from the measurement, and stops its work when the difference is too large.
 *
 * This file is beside the database code because only Postgres decides the time: retention, deadlines and due times are
 * all compared with values in Postgres. The clock of Redis decides only how long Redis keeps a key and how old an entry of
 * a stream is.
 */
import { onConnection, type Pool } from './db.ts';

/** One reading of Postgres's clock, with the monotonic clock of this process beside it. Milliseconds. */
interface Reading {
  /** Postgres's Unix time minus the monotonic clock. */
  baseMs: number;
  /** Half the round trip: the reading is wrong by this much at most. */
  errorMs: number;
  /** On the monotonic clock. */
  takenAt: number;
}

/** Two clocks that run freely part by less than this: a hundred millionths. */
const DRIFT = 1e-4;
/** `Date.now()` counts whole milliseconds. */
const GRAIN_MS = 2;
/** A wall clock that moves by more than this against the monotonic clock during a round trip was set meanwhile. */
const STEP_MS = 50;
const READ_EVERY_MS = 2_000;
const LOOK_EVERY_MS = 250;

// One for the process, as Date is. Its parts must agree on the time, and Postgres has one time for all of them.
let reading: Reading | undefined;

const errorOf = ({ errorMs, takenAt }: Reading, at: number): number => errorMs + (at - takenAt) * DRIFT;

/**
 * The time that all processes share, in whole Unix milliseconds: for every time that another process, a store or a client
 * gets to see. Two readings of it give no duration; `performance.now()` does. Before the first measurement it is the clock
 * of this machine.
 */
export function sharedNow(): number {
  const own = Date.now();
  if (reading === undefined) return own;
  const at = performance.now();
  const shared = reading.baseMs + at;
  // Within the error of the measurement the own clock is as good, and is steady.
  return Math.abs(own - shared) <= errorOf(reading, at) + GRAIN_MS ? own : Math.round(shared);
}

/** Postgres's clock, in Unix milliseconds. */
export async function postgresNow(db: Pick<Pool, 'query'>): Promise<number> {
  const { rows } = await db.query<{ ms: number }>(
    'SELECT (extract(epoch FROM clock_timestamp()) * 1000)::float8 AS ms',
  );
  return (rows[0] as { ms: number }).ms;
}

export interface ClockOptions {
  db: Pool;
  /** The largest difference from Postgres's clock with which this process works. */
  maxSkewMs: number;
  log: {
    error(fields: object, message: string): void;
    info(fields: object, message: string): void;
    debug(fields: object, message: string): void;
  };
}

/** What the parts of a process ask before they take work, delete or expire. */
export interface Clock {
  /** A sentence that names the difference while it is too large, else undefined. Costs two readings of a clock. */
  fault(): string | undefined;
  /** The clock of this process minus Postgres's, in seconds: positive where this process is ahead. */
  skewS(): number;
  /** Calls back with the fault when the clock becomes wrong, and with undefined when it is right again. */
  onChange(callback: (fault: string | undefined) => void): void;
  close(): Promise<void>;
}

/** Resolves after the first measurement. Rejects when Postgres does not answer. */
export async function startClock({ db, maxSkewMs, log }: ClockOptions): Promise<Clock> {
  const callbacks: ((fault: string | undefined) => void)[] = [];
  let wasWrong = false;
  let reads: Promise<void> | undefined;
  let readAt = Number.NEGATIVE_INFINITY;

  function skewMs(at = performance.now()): number {
    return reading === undefined ? 0 : Date.now() - (reading.baseMs + at);
  }

  function fault(): string | undefined {
    const at = performance.now();
    const skew = skewMs(at);
    if (reading === undefined || Math.abs(skew) - errorOf(reading, at) <= maxSkewMs) return undefined;
    const seconds = (Math.abs(skew) / 1_000).toFixed(1);
    const side = skew > 0 ? 'ahead of' : 'behind';
    return (
      `The clock of this process is ${seconds} s ${side} the clock of Postgres, and at most ${maxSkewMs / 1_000} s is allowed ` +
      `(MAX_CLOCK_SKEW_MS): set the clock that is wrong, on this machine or on that of Postgres.`
    );
  }

  /** Reads once more. Looks at the verdict afterwards, so that a changed one is told at once. */
  function read(): Promise<void> {
    readAt = performance.now();
    reads ??= readPostgres(db)
      .then((next) => {
        if (next !== undefined && isBetter(next)) reading = next;
      })
      .finally(() => {
        reads = undefined;
      });
    return reads;
  }

  function look(): void {
    const sentence = fault();
    const isWrong = sentence !== undefined;
    if (isWrong !== wasWrong) {
      wasWrong = isWrong;
      const fields = { skew_seconds: Number((skewMs() / 1_000).toFixed(3)) };
      if (isWrong) log.error(fields, `${sentence} This process takes no work, deletes nothing and expires nothing.`);
      else log.info(fields, 'The clock of this process agrees with the clock of Postgres again: work goes on.');
      for (const callback of callbacks) callback(sentence);
    }
    if (performance.now() - readAt < (isWrong ? LOOK_EVERY_MS : READ_EVERY_MS)) return;
    // The last reading stays: while Postgres is away nothing says that either clock was set.
    read().catch((error: unknown) => log.debug({ err: error }, 'The clock of Postgres cannot be read.'));
  }

  // A wall clock that is set during the first round trip gives no reading.
  for (let tries = 0; tries < 5; tries += 1) {
    await read();
    if (reading !== undefined) break;
  }
  look();
  const timer = setInterval(look, LOOK_EVERY_MS);
  timer.unref();
  return {
    fault,
    skewS: () => skewMs() / 1_000,
    onChange: (callback) => void callbacks.push(callback),
    async close() {
      clearInterval(timer);
      await reads?.catch(() => {});
    },
  };
}

/** Undefined where the wall clock was set, or the machine slept, in the meantime. */
function readPostgres(db: Pool): Promise<Reading | undefined> {
  // On a connection that is there: waiting for one is no part of the round trip.
  return onConnection(db, async (client) => {
    const [own, before] = [Date.now(), performance.now()];
    const shared = await postgresNow(client);
    const [ownAfter, takenAt] = [Date.now(), performance.now()];
    const tripMs = takenAt - before;
    if (Math.abs(ownAfter - own - tripMs) > STEP_MS) return undefined;
    return { baseMs: shared - (before + takenAt) / 2, errorMs: tripMs / 2, takenAt };
  });
}

/** A reading replaces the last one where it is more exact, and where both cannot be true: then a clock was set. */
function isBetter(next: Reading): boolean {
  if (reading === undefined) return true;
  const error = errorOf(reading, next.takenAt);
  return next.errorMs <= error || Math.abs(next.baseMs - reading.baseMs) > next.errorMs + error;
}
