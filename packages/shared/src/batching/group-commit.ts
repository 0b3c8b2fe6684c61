/**
 * Gathers what callers want written and writes it together: while one commit is under way newcomers gather, and share
 * the next. An idle one writes at once, so that a lone caller waits for nobody. No clock and no I/O of its own.
 */

export interface GroupCommitOptions<T> {
  /** Writes the rows, all or none. */
  write: (rows: readonly T[]) => Promise<void>;
  /** Most rows in one commit. What one caller brings is never split, so that one who brings more has a larger commit. */
  maxRows: number;
  /** Most rows that may wait; more are refused at once. */
  maxWaiting: number;
  /** Bytes of a row; 0 for each by default. */
  bytesOf?: (row: T) => number;
  /** Most bytes in one commit, as `maxRows`. */
  maxBytes?: number;
  /** Most bytes that may wait, as `maxWaiting`. */
  maxWaitingBytes?: number;
  /** Commits under way at once. */
  concurrency?: number;
  /** Whether those who wait fail with a commit that failed so, instead of trying the same again. Not so by default. */
  failsAll?: (error: unknown) => boolean;
}

/** More rows wait than may: the store does not keep up. */
export class GroupCommitFull extends Error {
  override name = 'GroupCommitFull';
}

interface Waiter<T> {
  rows: readonly T[];
  bytes: number;
  done: PromiseWithResolvers<void>;
}

export class GroupCommit<T> {
  readonly #options: GroupCommitOptions<T>;
  #waiting: Waiter<T>[] = [];
  #waitingRows = 0;
  #waitingBytes = 0;
  #underWay = 0;
  #idle: PromiseWithResolvers<void> | undefined;

  constructor(options: GroupCommitOptions<T>) {
    this.#options = options;
  }

  /** Rows that wait for their commit to begin. */
  get waiting(): number {
    return this.#waitingRows;
  }

  /** Resolves when the rows are committed; rejects when their commit failed, or with GroupCommitFull. */
  add(...rows: readonly T[]): Promise<void> {
    if (rows.length === 0) return Promise.resolve();
    const { maxWaiting, bytesOf, maxWaitingBytes = Number.POSITIVE_INFINITY } = this.#options;
    const bytes = bytesOf ? rows.reduce((sum, row) => sum + bytesOf(row), 0) : 0;
    const full = this.#waitingRows + rows.length > maxWaiting || this.#waitingBytes + bytes > maxWaitingBytes;
    if (full && this.#waitingRows > 0) {
      return Promise.reject(new GroupCommitFull(`${this.#waitingRows} rows wait to be committed`));
    }
    const waiter = { rows, bytes, done: Promise.withResolvers<void>() };
    this.#waiting.push(waiter);
    this.#waitingRows += rows.length;
    this.#waitingBytes += bytes;
    this.#next();
    return waiter.done.promise;
  }

  /** Resolves when nothing waits and nothing is under way. */
  drain(): Promise<void> {
    if (this.#underWay === 0 && this.#waiting.length === 0) return Promise.resolve();
    this.#idle ??= Promise.withResolvers<void>();
    return this.#idle.promise;
  }

  #next(): void {
    while (this.#underWay < (this.#options.concurrency ?? 1) && this.#waiting.length > 0) {
      const group = this.#take();
      this.#underWay++;
      void this.#commit(group);
    }
    if (this.#underWay === 0) {
      this.#idle?.resolve();
      this.#idle = undefined;
    }
  }

  #take(): Waiter<T>[] {
    const { maxRows, maxBytes = Number.POSITIVE_INFINITY } = this.#options;
    let rows = 0;
    let bytes = 0;
    let callers = 0;
    for (const waiter of this.#waiting) {
      if (callers > 0 && (rows + waiter.rows.length > maxRows || bytes + waiter.bytes > maxBytes)) break;
      rows += waiter.rows.length;
      bytes += waiter.bytes;
      callers++;
    }
    this.#waitingRows -= rows;
    this.#waitingBytes -= bytes;
    return this.#waiting.splice(0, callers);
  }

  async #commit(group: readonly Waiter<T>[]): Promise<void> {
    try {
      await this.#options.write(group.flatMap(({ rows }) => rows));
      for (const { done } of group) done.resolve();
    } catch (error) {
      for (const { done } of group) done.reject(error);
      if (this.#options.failsAll?.(error)) {
        this.#waitingRows = 0;
        this.#waitingBytes = 0;
        for (const { done } of this.#waiting.splice(0)) done.reject(error);
      }
    } finally {
      this.#underWay--;
      this.#next();
    }
  }
}
