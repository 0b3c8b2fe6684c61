/** Writes large rows into slots of shared memory, and deletes the slots of this process: see predictions/slots.ts in shared. */
import { randomUUID } from 'node:crypto';
import {
  closeSync,
  mkdirSync,
  openSync,
  readdirSync,
  rmSync,
  statfsSync,
  statSync,
  unlinkSync,
  writeFileSync,
  writevSync,
} from 'node:fs';
import path from 'node:path';
import { slotFolder } from '@millrace/shared/predictions/slots';
import type { SlotRow } from '@millrace/shared/predictions/task';
import { BytePieces } from '@millrace/shared/tensors/byte-pieces';
import { LONG_ROW_BYTES } from '@millrace/shared/tensors/tensor-bytes';
import type { Logger } from 'pino';

/** A shorter row costs less in Redis than as a file. */
export const SLOT_BYTES = LONG_ROW_BYTES;
const TOUCH_MS = 10_000;
/** A folder that its process has not touched for this long belongs to a process that was killed. */
const DEAD_MS = 120_000;
/** The part of the free shared memory that the slots may take. */
const FREE_PART = 0.5;
const FOLDER_NAME = /^[0-9a-f-]{36}$/;

export interface SlotWriterParams {
  /** The most bytes of the slots of this process; 0 for no slots. */
  limitBytes: number;
  log: Logger;
}

export class SlotWriter {
  readonly #folder: string | undefined;
  readonly #limitBytes: number;
  readonly #log: Logger;
  readonly #slots = new Map<string, NodeJS.Timeout | undefined>();
  readonly #touching: NodeJS.Timeout | undefined;
  #bytes = 0;
  #next = 0;

  constructor({ limitBytes, log }: SlotWriterParams) {
    this.#log = log;
    const parent = limitBytes > 0 ? slotFolder() : undefined;
    this.#folder = parent && this.#open(parent);
    this.#limitBytes = parent ? Math.min(limitBytes, freeBytes(parent) * FREE_PART) : 0;
    const folder = this.#folder;
    if (parent && folder) this.#touching = setInterval(() => this.#touch(folder, parent), TOUCH_MS).unref();
  }

  /** Bytes of all slots of this process. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Undefined if there is no room: the row then goes through Redis. */
  write(row: Buffer | BytePieces): SlotRow | undefined {
    if (this.#folder === undefined || this.#bytes + row.length > this.#limitBytes) return undefined;
    this.#next += 1;
    const slot = path.join(this.#folder, String(this.#next));
    try {
      writeWhole(slot, Buffer.isBuffer(row) ? new BytePieces([row]) : row);
    } catch (error) {
      this.#log.warn({ err: error }, 'a large input cannot be written to shared memory: Redis gets the input');
      rmSync(slot, { force: true });
      return undefined;
    }
    this.#bytes += row.length;
    this.#slots.set(slot, undefined);
    return { slot, bytes: row.length };
  }

  /** Deletes a slot now, or after a delay. */
  release({ slot, bytes }: SlotRow, delayMs: number): void {
    if (!this.#slots.has(slot)) return;
    clearTimeout(this.#slots.get(slot));
    if (delayMs > 0) {
      this.#slots.set(slot, setTimeout(() => this.release({ slot, bytes }, 0), delayMs).unref());
      return;
    }
    this.#slots.delete(slot);
    this.#bytes -= bytes;
    try {
      unlinkSync(slot);
    } catch (error) {
      this.#log.warn({ err: error }, 'a slot of shared memory cannot be deleted');
    }
  }

  /** Leaves the slots that a worker can still read. The next sweep of another process, or of the next process, removes them. */
  close(): void {
    clearInterval(this.#touching);
    for (const timer of this.#slots.values()) clearTimeout(timer);
    if (this.#folder && this.#slots.size === 0) rmSync(this.#folder, { recursive: true, force: true });
  }

  #open(parent: string): string | undefined {
    const folder = path.join(parent, randomUUID());
    try {
      mkdirSync(folder, { mode: 0o700 });
      touch(folder, parent);
      return folder;
    } catch (error) {
      this.#log.warn({ err: error }, 'shared memory cannot be used: large inputs go through Redis');
      return undefined;
    }
  }

  #touch(folder: string, parent: string): void {
    try {
      touch(folder, parent);
    } catch (error) {
      this.#log.warn({ err: error }, 'the slots of shared memory are gone: large inputs go through Redis');
    }
  }
}

function writeWhole(file: string, row: BytePieces): void {
  const opened = openSync(file, 'wx', 0o600);
  try {
    for (let left = row; left.length > 0; ) {
      const written = writevSync(opened, left.pieces);
      // A full file system can write a part of the bytes.
      if (written === left.length) return;
      left = left.slice(written);
    }
  } finally {
    closeSync(opened);
  }
}

function freeBytes(folder: string): number {
  const { bavail, bsize } = statfsSync(folder);
  return bavail * bsize;
}

/**
 * Marks a folder as in use, and removes the folders of killed processes. All times come from the file system: the clock of a process
 * can be wrong.
 */
function touch(folder: string, parent: string): void {
  const mark = path.join(folder, 'alive');
  writeFileSync(mark, '');
  rmSync(mark);
  const nowMs = statSync(folder).mtimeMs;
  for (const name of readdirSync(parent)) {
    const other = path.join(parent, name);
    const touchedAt = FOLDER_NAME.test(name) ? statSync(other, { throwIfNoEntry: false })?.mtimeMs : undefined;
    if (touchedAt !== undefined && touchedAt < nowMs - DEAD_MS) rmSync(other, { recursive: true, force: true });
  }
}
