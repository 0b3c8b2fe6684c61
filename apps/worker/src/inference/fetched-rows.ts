/**
 * Reads the rows of taken predictions from the cache Redis, and hands them to the engine in shared memory: the engine reads a slot straight
 * into the tensors of the run.
 */
import { freeBytes } from '@millrace/shared/predictions/free-bytes';
import { SlotWriter } from '@millrace/shared/predictions/slot-writer';
import { isCacheSlot } from '@millrace/shared/predictions/slots';
import type { Row, SlotRow } from '@millrace/shared/predictions/task';
import type { SlotReader } from '@millrace/shared/queue/slot-reader';
import type { Logger } from 'pino';
import { SLOT_GONE, type Work, type Works } from './work.ts';

/** Most bytes of shared memory for fetched rows. Without room, a row goes through the socket of the engine. */
const FILE_BYTES = 64 * 1_048_576;

/** Most bytes of rows that are read at a time. Each row is in the memory of this process until its file is written. */
const READ_BYTES = 16 * 1_048_576;

const isInCache = ({ task }: Work): boolean => task.rows.some(isCacheSlot);

export class FetchedRows {
  readonly #reader: SlotReader;
  readonly #log: Logger;
  #files: SlotWriter | undefined;

  constructor(reader: SlotReader, log: Logger) {
    this.#reader = reader;
    this.#log = log;
  }

  /** Reads the rows of the predictions. A prediction of which a row is gone becomes unreadable. */
  fetch({ works, unreadable }: Works): Works | Promise<Works> {
    return works.some(isInCache) ? this.#fetch({ works, unreadable }) : { works, unreadable };
  }

  /** Frees the shared memory of fetched rows. */
  release(works: readonly Work[]): void {
    for (const { fetched = [] } of works) for (const slot of fetched) this.#files?.release(slot, 0);
  }

  close(): void {
    this.#files?.close();
  }

  async #fetch({ works, unreadable }: Works): Promise<Works> {
    const arePresent: boolean[] = [];
    for (const part of partsOf(works)) arePresent.push(...(await Promise.all(part.map((work) => this.#fill(work)))));
    const gone = works.filter((_, at) => !arePresent[at]);
    this.release(gone);
    return {
      works: works.filter((_, at) => arePresent[at]),
      unreadable: [...unreadable, ...gone.map(({ taken }) => ({ taken, reason: SLOT_GONE }))],
    };
  }

  /** Replaces each slot of the cache Redis by its row. Resolves to false where a row is gone. */
  async #fill(work: Work): Promise<boolean> {
    const { task, results } = work;
    const fetched: SlotRow[] = [];
    work.fetched = fetched;
    const rows = await Promise.all(
      task.rows.map(async (row, at) => {
        // A row with a carried output does not run.
        if (!isCacheSlot(row) || results[at] !== undefined) return row;
        const bytes = await this.#reader.read(row);
        return bytes && this.#place(bytes, fetched);
      }),
    );
    if (!rows.every((row) => row !== undefined)) return false;
    task.rows = rows;
    return true;
  }

  #place(row: Buffer, fetched: SlotRow[]): Row {
    this.#files ??= new SlotWriter({ limitBytes: FILE_BYTES, log: this.#log });
    const slot = this.#files.write(row);
    if (slot === undefined) return row;
    fetched.push(slot);
    // The collector would mark the whole heap after some 60 MB of such memory.
    freeBytes(row);
    return slot;
  }
}

/** The predictions in their order, in parts of at most READ_BYTES of rows. */
function partsOf(works: readonly Work[]): Work[][] {
  const parts: Work[][] = [];
  let left = 0;
  for (const work of works) {
    const bytes = work.task.rows.reduce((sum, row) => sum + (isCacheSlot(row) ? row.bytes : 0), 0);
    if (parts.length === 0 || bytes > left) {
      parts.push([]);
      left = READ_BYTES;
    }
    parts.at(-1)?.push(work);
    left -= bytes;
  }
  return parts;
}
