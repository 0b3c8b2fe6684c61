/**
 * Slots: large rows of waiting callers outside the queue Redis. A slot is a file of shared memory, or a value of the cache Redis where
 * API and workers share no machine (queue/slot-reader.ts).
 *
 * The API writes the row to a file once, the live state and the job name the file, and the engine reads the file. Neither Redis nor the
 * worker has the bytes.
 *
 * A name has one content for its whole life and is never used again. The API may write the row of another prediction into the memory of
 * a released slot, since new memory takes five times as long to write as used memory. Before the first byte the API renames the file.
 * A reader therefore looks for the name after its last read: while the name exists, the reader has read the right bytes. Each API
 * process has its own folder, so the name states the owner.
 */
import { randomUUID } from 'node:crypto';
import {
  closeSync,
  existsSync,
  fstatSync,
  lstatSync,
  mkdirSync,
  openSync,
  readFileSync,
  readSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import { isSlot, type Row, type SlotRow } from './task-type.ts';

const FOLDER_MODE = 0o700;
const FILE = /^\/dev\/shm\/millrace-\d+\/[0-9a-f-]{36}\/\d+$/;
const IN_CACHE = /^cache:[0-9a-f-]{36}:\d+$/;

/** The folder of the slots of this user. Undefined where the machine has no shared memory, or another user owns the folder. */
export function slotFolder(): string | undefined {
  const user = process.getuid?.();
  if (user === undefined) return undefined;
  const folder = `/dev/shm/millrace-${user}`;
  try {
    mkdirSync(folder, { mode: FOLDER_MODE, recursive: true });
    // Not `stat`: another user could have made a link to a folder of this user.
    const found = lstatSync(folder);
    const { uid, mode } = found;
    return found.isDirectory() && uid === user && (mode & 0o777) === FOLDER_MODE ? folder : undefined;
  } catch {
    return undefined;
  }
}

/** A name of the shared memory that this process reads. Two processes with the same name read each other's slots. */
export function machineName(): string | undefined {
  const folder = slotFolder();
  if (folder === undefined) return undefined;
  const file = path.join(folder, 'machine');
  try {
    try {
      writeFileSync(file, randomUUID(), { flag: 'wx', mode: 0o600 });
    } catch {
      // The file exists.
    }
    const name = readFileSync(file, 'latin1');
    return /^[0-9a-f-]{36}$/.test(name) ? name : undefined;
  } catch {
    return undefined;
  }
}

/** The name of a slot in the cache Redis. `owner` is a UUID of the API process. */
export const cacheSlotName = (owner: string, number: number): string => `cache:${owner}:${number}`;

/** Whether the row is in the cache Redis. */
export const isCacheSlot = (row: Row): row is SlotRow => isSlot(row) && IN_CACHE.test(row.slot);

/** Whether this process can read the slot as a file. */
export function hasSlot({ slot, bytes }: SlotRow): boolean {
  if (!FILE.test(slot)) return false;
  return statSync(slot, { throwIfNoEntry: false })?.size === bytes;
}

/** An open slot. Every method throws when the slot is gone or has another length. */
export class OpenSlot {
  readonly #file: number;
  readonly #slot: string;
  readonly bytes: number;

  constructor({ slot, bytes }: SlotRow) {
    if (!FILE.test(slot)) throw new Error('the name of a slot is not valid');
    this.#slot = slot;
    this.bytes = bytes;
    this.#file = openSync(slot, 'r');
    if (fstatSync(this.#file).size === bytes) return;
    closeSync(this.#file);
    throw new Error('a slot does not have the length of its row');
  }

  /** Fills `target` with the bytes of the slot from `from` on. The bytes are right only if `check` returns afterwards. */
  read(target: Uint8Array, from: number): void {
    readFully(this.#file, target, from);
  }

  /** Throws if the slot was released, so that the bytes may belong to another prediction. */
  check(): void {
    if (!existsSync(this.#slot)) throw new Error('a slot was released during a read');
  }

  close(): void {
    closeSync(this.#file);
  }
}

/** Fills `target` with the bytes of an open file from `from` on. */
export function readFully(file: number, target: Uint8Array, from: number): void {
  for (let at = 0; at < target.length; ) {
    const read = readSync(file, target, at, target.length - at, from + at);
    if (read === 0) throw new Error('a slot ends before its row');
    at += read;
  }
}

/** Reads a slot that is a file. Throws when the slot is gone or has another length, and for a slot in the cache Redis. */
export function readSlot(row: SlotRow): Buffer {
  const slot = new OpenSlot(row);
  try {
    // Memory of its own begins at an address that every type of elements can use.
    const bytes = Buffer.allocUnsafeSlow(row.bytes);
    slot.read(bytes, 0);
    slot.check();
    return bytes;
  } finally {
    slot.close();
  }
}

/** A slot as text, for a task and a frame. */
export const slotText = ({ slot, bytes }: SlotRow): string => `${bytes} ${slot}`;

/** Undefined for a text that names no slot. */
export function parseSlot(text: string): SlotRow | undefined {
  const [bytes = '', slot = ''] = text.split(' ');
  return /^\d{1,12}$/.test(bytes) && (FILE.test(slot) || IN_CACHE.test(slot))
    ? { slot, bytes: Number(bytes) }
    : undefined;
}
