/** Writes large rows into slots of the cache Redis, and releases the slots of this process: see queue/slot-reader.ts in shared. */
import { randomUUID } from 'node:crypto';
import { cacheSlotName } from '@millrace/shared/predictions/slots';
import type { SlotRow } from '@millrace/shared/predictions/task';
import type { Connection } from '@millrace/shared/redis/connection';
import type { Keys } from '@millrace/shared/redis/keys';
import { maxMemoryOf } from '@millrace/shared/redis/memory-use';
import { setPieces } from '@millrace/shared/redis/set-pieces';
import { BytePieces } from '@millrace/shared/tensors/byte-pieces';
import type { Logger } from 'pino';

/** The part of the memory of the cache Redis that the slots of one process may take. Cached results need the rest. */
const CACHE_PART = 0.25;
/** After a failed write, and after the loss of a row, rows go through the queue Redis for this long. */
const PAUSE_MS = 30_000;

export interface CacheSlotWriterParams {
  /** The connection for large values. Undefined where the cache is on a server of the queue, and no row is written. */
  redis: Connection | undefined;
  keys: Keys;
  /** The most bytes of the slots of this process; 0 for no slots. */
  limitBytes: number;
  /** Whether the cache Redis took the last write. */
  isWritable(): boolean;
  log: Logger;
}

export class CacheSlotWriter {
  readonly #params: CacheSlotWriterParams;
  readonly #owner = randomUUID();
  /** Of the slots that are released or deleted later. */
  readonly #timers = new Set<NodeJS.Timeout>();
  /** Undefined until the memory of the cache Redis is known. */
  #limitBytes: number | undefined;
  #reading: Promise<void> | undefined;
  #bytes = 0;
  #next = 0;
  #pausedUntil = Number.NEGATIVE_INFINITY;

  constructor(params: CacheSlotWriterParams) {
    this.#params = params;
    void this.readLimit();
  }

  /** Reads the memory of the cache Redis. Until then no row is written. The next write tries again after a failure. */
  readLimit(): Promise<void> {
    const { redis, limitBytes } = this.#params;
    if (redis === undefined || limitBytes === 0) return Promise.resolve();
    this.#reading ??= maxMemoryOf(redis)
      .then((most) => {
        this.#limitBytes = Math.min(limitBytes, most > 0 ? most * CACHE_PART : limitBytes);
      })
      .catch(() => {})
      .finally(() => {
        this.#reading = undefined;
      });
    return this.#reading;
  }

  /** Bytes of all slots of this process. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Resolves to undefined if there is no room, or if the cache Redis does not take the row: the row then goes through the queue Redis. */
  async write(row: Buffer | BytePieces, ttlMs: number): Promise<SlotRow | undefined> {
    const { redis, keys, isWritable, log } = this.#params;
    const bytes = row.length;
    if (this.#limitBytes === undefined) void this.readLimit();
    if (redis === undefined || this.#bytes + bytes > (this.#limitBytes ?? 0)) return undefined;
    if (performance.now() < this.#pausedUntil || !isWritable()) return undefined;
    this.#bytes += bytes;
    this.#next += 1;
    const slot = cacheSlotName(this.#owner, this.#next);
    try {
      const value = row instanceof BytePieces ? row : new BytePieces([row]);
      await setPieces(redis, { key: keys.slot(slot), value, ttlMs: Math.ceil(ttlMs) });
      return { slot, bytes };
    } catch (error) {
      this.#pause();
      log.warn({ err: error }, 'a large input cannot be written to the cache Redis: the queue Redis gets the input');
      this.release({ slot, bytes }, 0);
      // A write without a reply can still succeed, and its connection is closed now. The value would stay for up to ten minutes.
      this.#later(PAUSE_MS, () => this.#delete(slot));
      return undefined;
    }
  }

  /** Releases a slot now, or after a delay. */
  release({ slot, bytes }: SlotRow, delayMs: number): void {
    const { redis, keys } = this.#params;
    if (delayMs <= 0) {
      this.#bytes -= bytes;
      this.#delete(slot);
      return;
    }
    redis?.pexpire(keys.slot(slot), Math.ceil(delayMs)).catch(() => {});
    this.#later(delayMs, () => {
      this.#bytes -= bytes;
    });
  }

  /** A row was gone: the cache Redis evicts rows, or the workers have another cache Redis. */
  lost(): void {
    this.#pause();
  }

  close(): void {
    for (const timer of this.#timers) clearTimeout(timer);
  }

  #delete(slot: string): void {
    const { redis, keys } = this.#params;
    // Where the command fails, the value expires.
    redis?.del(keys.slot(slot)).catch(() => {});
  }

  #later(delayMs: number, act: () => void): void {
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      act();
    }, delayMs).unref();
    this.#timers.add(timer);
  }

  #pause(): void {
    this.#pausedUntil = performance.now() + PAUSE_MS;
  }
}
