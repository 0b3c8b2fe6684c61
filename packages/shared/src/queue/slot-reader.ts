/**
 * Slots in the cache Redis, for rows that cross machines. The cache Redis has no append-only file, so the row is in memory only. The API
 * writes the row under a name that is never used again, and a worker that has taken the prediction reads the row. A row that is
 * gone (the cache Redis evicted the row or started again) goes through the queue Redis instead: the API of the waiting caller still has
 * the row.
 */

import { isCacheSlot } from '../predictions/slots.ts';
import { readTask, storedTask } from '../predictions/task.ts';
import { namesSlots } from '../predictions/task-bytes.ts';
import type { SlotRow, StoredTask } from '../predictions/task-type.ts';
import type { Connection } from '../redis/connection.ts';
import type { Keys } from '../redis/keys.ts';

export interface SlotReaderParams {
  /** Opens the connection to the cache Redis, at the first row. The connection needs a command timeout. */
  open(): Promise<Connection>;
  keys: Keys;
  onError(error: unknown): void;
}

export class SlotReader {
  readonly #params: SlotReaderParams;
  #opening: Promise<Connection> | undefined;

  constructor(params: SlotReaderParams) {
    this.#params = params;
  }

  /** The bytes of a slot. Undefined where the slot is gone or has another length, or where the cache Redis does not respond. */
  async read({ slot, bytes }: SlotRow): Promise<Buffer | undefined> {
    const { keys, onError } = this.#params;
    try {
      const redis = await this.#open();
      const row = await redis.getBuffer(keys.slot(slot));
      return row?.length === bytes ? row : undefined;
    } catch (error) {
      onError(error);
      return undefined;
    }
  }

  /** The stored task with the bytes of its slots in the cache Redis. A task of which a row is gone keeps its slots. */
  async whole(stored: StoredTask): Promise<StoredTask> {
    const task = namesSlots(stored) ? readTask(stored) : undefined;
    if (!task?.rows.some(isCacheSlot)) return stored;
    const rows = await Promise.all(task.rows.map((row) => (isCacheSlot(row) ? this.read(row) : row)));
    return rows.every((row) => row !== undefined) ? storedTask({ ...task, rows }, true) : stored;
  }

  async close(): Promise<void> {
    const opened = await this.#opening?.catch(() => undefined);
    opened?.disconnect();
  }

  #open(): Promise<Connection> {
    this.#opening ??= this.#params.open().catch((error: unknown) => {
      this.#opening = undefined;
      throw error;
    });
    return this.#opening;
  }
}
