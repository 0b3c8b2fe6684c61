/**
 * Gathers the items of many callers into batches, so that one command serves many callers. While a batch is in progress, new
 * items gather for the next batch. A lone item waits for no other item: the batcher has no timer.
 */

/** Receives the outcome of one item: exactly one of the two methods is called, once. Neither method may throw. */
export interface BatchListener<R> {
  onResult(result: R): void;
  onError(error: unknown): void;
}

export interface BatcherOptions<T, R> {
  /**
   * Processes 1 to `maxItems` items in the order in which they were added, and resolves to a result for each item. A rejection
   * fails the items of this batch.
   */
  run: (items: T[]) => Promise<readonly R[]>;
  maxItems: number;
  /** The largest number of batches in progress while fewer than `maxItems` items wait. */
  concurrency?: number;
  /** The largest number of batches in progress while a full batch waits. */
  fullConcurrency?: number;
  /**
   * Calls the function that starts a batch: by default at the end of this turn of the event loop, so that items of one turn
   * share a batch.
   */
  defer?: (start: () => void) => void;
  /** The largest number of items that wait. The batcher rejects further items with BatcherFull. */
  maxWaiting?: number;
  /** Returns the bytes of an item, always the same number for the same item. */
  bytesOf?: (item: T) => number;
  /** The largest number of bytes in one batch. A larger item has a batch to itself. */
  maxBytes?: number;
  /** The largest number of bytes that wait. A larger item is accepted while no other item waits. */
  maxWaitingBytes?: number;
  /**
   * Returns whether the waiting items fail together with a batch that failed, instead of each waiting for its own timeout.
   */
  failsAll?: (error: unknown) => boolean;
}

/** Too many items wait: the store is slower than the callers. */
export class BatcherFull extends Error {
  override name = 'BatcherFull';
}

export class Batcher<T, R> {
  readonly #run: (items: T[]) => Promise<readonly R[]>;
  readonly #maxItems: number;
  readonly #concurrency: number;
  readonly #fullConcurrency: number;
  readonly #defer: (start: () => void) => void;
  readonly #maxWaiting: number;
  readonly #bytesOf: ((item: T) => number) | undefined;
  readonly #maxBytes: number;
  readonly #maxWaitingBytes: number;
  readonly #failsAll: (error: unknown) => boolean;
  /** The waiting items and, at the same places, their listeners. */
  #items: T[] = [];
  #listeners: BatchListener<R>[] = [];
  #waitingBytes = 0;
  #inProgress = 0;
  #scheduled = false;
  #idle: PromiseWithResolvers<void> | undefined;

  constructor(options: BatcherOptions<T, R>) {
    this.#run = options.run;
    this.#maxItems = options.maxItems;
    this.#concurrency = options.concurrency ?? 1;
    this.#fullConcurrency = Math.max(options.fullConcurrency ?? 1, this.#concurrency);
    this.#defer = options.defer ?? ((start) => void setImmediate(start));
    this.#maxWaiting = options.maxWaiting ?? Number.POSITIVE_INFINITY;
    this.#bytesOf = options.bytesOf;
    this.#maxBytes = options.maxBytes ?? Number.POSITIVE_INFINITY;
    this.#maxWaitingBytes = options.maxWaitingBytes ?? Number.POSITIVE_INFINITY;
    this.#failsAll = options.failsAll ?? (() => false);
  }

  /** The number of items that wait for their batch to start. */
  get waiting(): number {
    return this.#items.length;
  }

  /** Resolves to the result of the item. Rejects when the item's batch fails, or with BatcherFull. */
  add(item: T): Promise<R> {
    return new Promise((onResult, onError) => this.put(item, { onResult, onError }));
  }

  /** Does the same as `add` without a promise, for the hot path. */
  put(item: T, listener: BatchListener<R>): void {
    const bytes = this.#bytesOf?.(item) ?? 0;
    const waiting = this.#items.length;
    if (waiting > 0 && (waiting >= this.#maxWaiting || this.#waitingBytes + bytes > this.#maxWaitingBytes)) {
      listener.onError(new BatcherFull(`${waiting} items are waiting, which is the limit. Try again later.`));
      return;
    }
    this.#items.push(item);
    this.#listeners.push(listener);
    this.#waitingBytes += bytes;
    if (this.#items.length >= this.#maxItems) this.#startBatches();
    else if (this.#inProgress < this.#concurrency && !this.#scheduled) {
      this.#scheduled = true;
      this.#defer(() => {
        this.#scheduled = false;
        this.#startBatches();
      });
    }
  }

  /** Resolves when no item waits and no batch is in progress. */
  drain(): Promise<void> {
    if (this.#inProgress === 0 && this.#items.length === 0) return Promise.resolve();
    this.#idle ??= Promise.withResolvers<void>();
    return this.#idle.promise;
  }

  #startBatches(): void {
    while (this.#items.length > 0) {
      const limit = this.#items.length >= this.#maxItems ? this.#fullConcurrency : this.#concurrency;
      if (this.#inProgress >= limit) return;
      const size = this.#nextSize();
      this.#inProgress += 1;
      void this.#runBatch(this.#items.splice(0, size), this.#listeners.splice(0, size));
    }
    if (this.#inProgress === 0) {
      this.#idle?.resolve();
      this.#idle = undefined;
    }
  }

  /** Returns how many of the waiting items the next batch has, and takes their bytes off the waiting bytes. */
  #nextSize(): number {
    const bytesOf = this.#bytesOf;
    if (bytesOf === undefined) return this.#maxItems;
    let bytes = 0;
    let size = 0;
    for (const item of this.#items) {
      const next = bytesOf(item);
      if (size > 0 && (size >= this.#maxItems || bytes + next > this.#maxBytes)) break;
      bytes += next;
      size += 1;
    }
    this.#waitingBytes -= bytes;
    return size;
  }

  async #runBatch(items: T[], listeners: BatchListener<R>[]): Promise<void> {
    try {
      const results = await this.#run(items);
      let at = 0;
      for (const result of results) {
        listeners[at]?.onResult(result);
        at += 1;
      }
    } catch (error) {
      const failed = this.#failsAll(error) ? [...listeners, ...this.#takeAll()] : listeners;
      for (const listener of failed) listener.onError(error);
    } finally {
      this.#inProgress -= 1;
      this.#startBatches();
    }
  }

  #takeAll(): BatchListener<R>[] {
    const listeners = this.#listeners;
    this.#items = [];
    this.#listeners = [];
    this.#waitingBytes = 0;
    return listeners;
  }
}
