/** Writes large rows into slots of shared memory, and releases the slots of this process: see slots.ts. */
import { randomUUID } from 'node:crypto';
import {
  closeSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  readdirSync,
  renameSync,
  rmSync,
  statfsSync,
  statSync,
  writeFileSync,
  writevSync,
} from 'node:fs';
import path from 'node:path';
import type { Logger } from 'pino';
import { BytePieces } from '../tensors/byte-pieces.ts';
import { LONG_ROW_BYTES } from '../tensors/tensor-bytes.ts';
import { readFully, slotFolder } from './slots.ts';
import type { SlotRow } from './task-type.ts';

/** A shorter row costs less in Redis than as a file. */
export const SLOT_BYTES = LONG_ROW_BYTES;
const TOUCH_MS = 10_000;
/** A folder that its process has not touched for this long belongs to a process that was killed. */
const DEAD_MS = 120_000;
/** The part of the free shared memory that the slots may take. */
const FREE_PART = 0.5;
/** Each slot is an open file. */
const SLOTS_MAX = 1_024;
const FOLDER_NAME = /^[0-9a-f-]{36}$/;

/**
 * The most bytes of released files that are kept for further rows. New memory takes five times as long to write: 290 µs of processor
 * time for 602 KB, with the removal of the file, and 51 µs for used memory. An asynchronous write takes 20 µs more and a change of
 * threads, so the event loop writes.
 */
const KEPT_BYTES = 32 * 1_048_576;

export interface SlotWriterParams {
  /** The most bytes of the slots of this process; 0 for no slots. */
  limitBytes: number;
  log: Logger;
}

/** An open file of shared memory, with its name and its length. */
interface SlotFile {
  file: number;
  path: string;
  bytes: number;
}

interface Slot extends SlotFile {
  timer: NodeJS.Timeout | undefined;
}

/** A released file, and when its last slot was released, on the monotonic clock. */
interface KeptFile extends SlotFile {
  releasedAt: number;
}

export class SlotWriter {
  readonly #folder: string | undefined;
  readonly #limitBytes: number;
  readonly #log: Logger;
  readonly #slots = new Map<string, Slot>();
  /** The file that was released last is the last: its memory is probably still in the caches of the processor. */
  readonly #kept: KeptFile[] = [];
  readonly #touching: NodeJS.Timeout | undefined;
  #bytes = 0;
  #keptBytes = 0;
  #next = 0;

  constructor({ limitBytes, log }: SlotWriterParams) {
    this.#log = log;
    const parent = limitBytes > 0 ? slotFolder() : undefined;
    this.#folder = parent && this.#open(parent);
    this.#limitBytes = parent ? Math.min(limitBytes, freeSpaceOf(parent) * FREE_PART) : 0;
    const folder = this.#folder;
    if (parent && folder) this.#touching = setInterval(() => this.#touch(folder, parent), TOUCH_MS).unref();
  }

  /** Bytes of all slots of this process. Files that are kept for further rows do not count. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Undefined if there is no room, or no shared memory. */
  write(row: Buffer | BytePieces): SlotRow | undefined {
    if (this.#folder === undefined || this.#bytes + row.length > this.#limitBytes) return undefined;
    if (this.#slots.size >= SLOTS_MAX) return undefined;
    this.#next += 1;
    const slot = path.join(this.#folder, String(this.#next));
    let opened: SlotFile | undefined;
    try {
      opened = this.#fileFor(slot, row.length);
      writeWhole(opened.file, Buffer.isBuffer(row) ? new BytePieces([row]) : row);
    } catch (error) {
      this.#log.warn({ err: error }, 'a large input cannot be written to shared memory');
      if (opened) this.#remove(opened);
      else rmSync(slot, { force: true });
      return undefined;
    }
    this.#bytes += row.length;
    this.#slots.set(slot, { ...opened, timer: undefined });
    return { slot, bytes: row.length };
  }

  /** The bytes of a slot that is not released, also when its name is gone. */
  read({ slot }: SlotRow): Buffer {
    const found = this.#slots.get(slot);
    if (found === undefined) throw new Error('a slot was read after its release');
    const row = Buffer.allocUnsafeSlow(found.bytes);
    readFully(found.file, row, 0);
    return row;
  }

  /** Releases a slot now, or after a delay. */
  release({ slot }: SlotRow, delayMs: number): void {
    const found = this.#slots.get(slot);
    if (found === undefined) return;
    clearTimeout(found.timer);
    if (delayMs > 0) {
      found.timer = setTimeout(() => this.release({ slot, bytes: found.bytes }, 0), delayMs).unref();
      return;
    }
    this.#slots.delete(slot);
    this.#bytes -= found.bytes;
    this.#keep(found);
  }

  /** Leaves the slots that a worker can still read. The next sweep of another process, or of the next process, removes them. */
  close(): void {
    clearInterval(this.#touching);
    for (const file of this.#kept.splice(0)) this.#remove(file);
    for (const { timer, file } of this.#slots.values()) {
      clearTimeout(timer);
      closeSync(file);
    }
    if (this.#folder && this.#slots.size === 0) rmSync(this.#folder, { recursive: true, force: true });
    this.#slots.clear();
  }

  /** A file of `bytes` bytes with the name `slot`: the best kept file, or a new file. */
  #fileFor(slot: string, bytes: number): SlotFile {
    const kept = this.#takeKept(bytes);
    if (kept === undefined) {
      this.#dropKept(this.#limitBytes - this.#bytes - bytes);
      return { file: openSync(slot, 'wx+', 0o600), path: slot, bytes };
    }
    try {
      renameSync(kept.path, slot);
      if (kept.bytes !== bytes) ftruncateSync(kept.file, bytes);
    } catch (error) {
      closeSync(kept.file);
      throw error;
    }
    return { file: kept.file, path: slot, bytes };
  }

  /** Removes and returns the last kept file of that length, or else the shortest file of at most twice the length. */
  #takeKept(bytes: number): KeptFile | undefined {
    let best = -1;
    for (const [at, one] of this.#kept.entries())
      if (one.bytes >= bytes && one.bytes <= (this.#kept[best]?.bytes ?? 2 * bytes)) best = at;
    const [taken] = best < 0 ? [] : this.#kept.splice(best, 1);
    this.#keptBytes -= taken?.bytes ?? 0;
    return taken;
  }

  /** Takes the name of a slot away, and keeps its file for a further row. */
  #keep({ file, path: name, bytes }: SlotFile): void {
    const kept = { file, path: `${name}.kept`, bytes, releasedAt: performance.now() };
    try {
      renameSync(name, kept.path);
    } catch (error) {
      this.#log.warn({ err: error }, 'a slot of shared memory cannot be released');
      closeSync(file);
      return;
    }
    this.#kept.push(kept);
    this.#keptBytes += bytes;
    this.#dropKept(Math.min(KEPT_BYTES, this.#limitBytes - this.#bytes));
  }

  /** Removes the oldest kept files until at most `bytes` bytes are left. */
  #dropKept(bytes: number): void {
    while (this.#keptBytes > Math.max(0, bytes)) {
      const oldest = this.#kept.shift();
      if (oldest === undefined) return;
      this.#keptBytes -= oldest.bytes;
      this.#remove(oldest);
    }
  }

  #remove({ file, path: name }: SlotFile): void {
    try {
      closeSync(file);
      rmSync(name, { force: true });
    } catch (error) {
      this.#log.warn({ err: error }, 'a slot of shared memory cannot be deleted');
    }
  }

  #open(parent: string): string | undefined {
    const folder = path.join(parent, randomUUID());
    try {
      mkdirSync(folder, { mode: 0o700 });
      touch(folder, parent);
      return folder;
    } catch (error) {
      this.#log.warn({ err: error }, 'shared memory cannot be used for large inputs');
      return undefined;
    }
  }

  #touch(folder: string, parent: string): void {
    const before = performance.now() - TOUCH_MS;
    while ((this.#kept[0]?.releasedAt ?? before) < before) this.#dropKept(this.#keptBytes - 1);
    try {
      touch(folder, parent);
    } catch (error) {
      this.#log.warn({ err: error }, 'the slots of shared memory are gone');
    }
  }
}

/** Writes from the first byte of the file on. */
function writeWhole(file: number, row: BytePieces): void {
  for (let left = row; left.length > 0; ) {
    const written = writevSync(file, left.pieces, row.length - left.length);
    // A full file system can write a part of the bytes.
    if (written === left.length) return;
    left = left.slice(written);
  }
}

/** The free bytes of the file system of a folder. */
function freeSpaceOf(folder: string): number {
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
