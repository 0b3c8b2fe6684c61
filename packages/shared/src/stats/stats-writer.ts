/**
 * Writes the counts of a process to Postgres every five seconds. While Postgres is away, the counts wait in memory. A process that is
 * killed loses the counts since its last write: the ledger stays complete, and only the history lacks these counts.
 */
import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { sharedNow } from '../postgres/clock.ts';
import type { Db } from '../postgres/db.ts';
import { StatsCounts, type StatsRow } from './stats-counts.ts';
import { writeStats } from './stats-table.ts';

const WRITE_EVERY_MS = 5_000;
/** Rows in one statement, so that a statement ends within the time limit of the API. */
const WRITE_ROWS = 250;
/** A closing process waits for Postgres this long. */
const CLOSE_MS = 2_000;

export interface StatsWriterDeps {
  db: Db;
  /** Adds counts just before each write. */
  beforeWrite?: (counts: StatsCounts) => Promise<void>;
  /** Receives the error of a failed write. The write is repeated. */
  onError(error: unknown): void;
  everyMs?: number;
}

export class StatsWriter {
  readonly counts = new StatsCounts();
  readonly #deps: StatsWriterDeps;
  readonly #writer = randomUUID();
  readonly #timer: NodeJS.Timeout;
  #number = 0;
  /** The rows of the last `take` that Postgres has not confirmed. */
  #taken: StatsRow[] = [];
  #writing: Promise<void> | undefined;

  constructor(deps: StatsWriterDeps) {
    this.#deps = deps;
    this.#timer = setInterval(() => void this.write(), deps.everyMs ?? WRITE_EVERY_MS).unref();
  }

  /** Writes the counts now. Resolves also after a failure, after which the next call repeats the same write. */
  write(): Promise<void> {
    this.#writing ??= this.#write()
      .catch((error: unknown) => this.#deps.onError(error))
      .finally(() => {
        this.#writing = undefined;
      });
    return this.#writing;
  }

  async #write(): Promise<void> {
    await this.#writeTaken();
    await this.#deps.beforeWrite?.(this.counts);
    this.#taken = await this.counts.take();
    this.#number += 1;
    await this.#writeTaken();
  }

  async #writeTaken(): Promise<void> {
    while (this.#taken.length > 0) {
      const rows = this.#taken.slice(0, WRITE_ROWS);
      await writeStats(this.#deps.db, { writer: this.#writer, number: this.#number, nowMs: sharedNow(), rows });
      this.#taken = this.#taken.slice(WRITE_ROWS);
      this.#number += 1;
    }
  }

  /** Writes the last counts, unless Postgres is away. */
  async close(): Promise<void> {
    clearInterval(this.#timer);
    await Promise.race([this.#closing(), delay(CLOSE_MS, undefined, { ref: false })]);
  }

  async #closing(): Promise<void> {
    // A write that is in progress may have taken the counts before the last of them.
    await this.#writing;
    await this.write();
  }
}
