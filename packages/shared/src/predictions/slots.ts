/**
 * Large rows of waiting callers in files of shared memory. The API writes a row once, the live state and the job name the file, and the
 * engine reads the file. Neither Redis nor the worker has the bytes.
 *
 * A file has one content for its whole life, and its name is never used again: an engine that still reads a file after the API has
 * deleted the file reads the right bytes. Each API process has its own folder, so the name states the owner.
 */
import { randomUUID } from 'node:crypto';
import {
  closeSync,
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
import type { SlotRow } from './task-type.ts';

const FOLDER_MODE = 0o700;
const FORM = /^\/dev\/shm\/millrace-\d+\/[0-9a-f-]{36}\/\d+$/;

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

/** Whether this process can read the slot. */
export function hasSlot({ slot, bytes }: SlotRow): boolean {
  if (!FORM.test(slot)) return false;
  return statSync(slot, { throwIfNoEntry: false })?.size === bytes;
}

/** Reads a slot. Throws when the slot is gone or has another length. */
export function readSlot({ slot, bytes }: SlotRow): Buffer {
  if (!FORM.test(slot)) throw new Error('the name of a slot is not valid');
  const file = openSync(slot, 'r');
  try {
    if (fstatSync(file).size !== bytes) throw new Error('a slot does not have the length of its row');
    // Memory of its own begins at an address that every type of elements can use.
    const row = Buffer.allocUnsafeSlow(bytes);
    for (let at = 0; at < bytes; ) {
      const read = readSync(file, row, at, bytes - at, at);
      if (read === 0) throw new Error('a slot ends before its row');
      at += read;
    }
    return row;
  } finally {
    closeSync(file);
  }
}

/** A slot as text, for a task and a frame. */
export const slotText = ({ slot, bytes }: SlotRow): string => `${bytes} ${slot}`;

/** Undefined for a text that names no slot. */
export function parseSlot(text: string): SlotRow | undefined {
  const [bytes = '', slot = ''] = text.split(' ');
  return /^\d{1,12}$/.test(bytes) && FORM.test(slot) ? { slot, bytes: Number(bytes) } : undefined;
}
