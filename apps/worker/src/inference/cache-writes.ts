/**
 * Writes of results to the cache Redis, which no run waits for: a cache Redis that stalls must not hold the slots of the engines.
 * The bytes in progress are bounded, because a client keeps the bytes of a stalled connection in memory. A result that is not
 * written is computed once more.
 */

export interface CacheWritesDeps {
  /** The most bytes of writes in progress. */
  limitBytes: number;
  /** Whether the cache Redis accepted its last write. */
  isWritable(): boolean;
  /** Receives the number of results that are not written because of the limit, or because the cache Redis does not respond. */
  onSkipped(results: number): void;
}

export class CacheWrites {
  readonly #deps: CacheWritesDeps;
  readonly #running = new Set<Promise<void>>();
  #bytes = 0;

  constructor(deps: CacheWritesDeps) {
    this.#deps = deps;
  }

  /** Bytes of writes in progress. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Starts `write` in this turn, or skips the write. `write` must not reject. */
  start({ results, bytes }: { results: number; bytes: number }, write: () => Promise<void>): void {
    const { limitBytes, isWritable, onSkipped } = this.#deps;
    if (!isWritable() || (this.#bytes > 0 && this.#bytes + bytes > limitBytes)) {
      onSkipped(results);
      return;
    }
    this.#bytes += bytes;
    const running = write().finally(() => {
      this.#bytes -= bytes;
      this.#running.delete(running);
    });
    this.#running.add(running);
  }

  /** Resolves when the writes in progress have ended. */
  async close(): Promise<void> {
    await Promise.all(this.#running);
  }
}
