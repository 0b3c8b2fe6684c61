/**
 * The bytes of a task whose rows are bytes. Every process of the current version reads tasks as text and as bytes. Processes of 0.1.0
 * read text only: see queue/bytes-support.ts.
 *
 * `u8 version (2 for a task with a slot) | u8 shape | u16 0 | u32 epoch | 32 bytes digest | u32 rows | u32 bytes of the known outputs`, then for each row: `u32 bytes |
 * u8 1 for a row with a key, plus 2 for a slot | 3 bytes 0 | 32 bytes key`, then the known outputs as JSON, then each row at the next multiple of 8 bytes.
 */

import { BytePieces } from '../tensors/byte-pieces.ts';
import { parseSlot, slotText } from './slots.ts';
import { type GivenTask, isSlot, type Row, type StoredTask, type Task } from './task-type.ts';

/** The first byte of a task. Text begins with a brace. */
const [VERSION, SLOT_VERSION] = [1, 2];
const [KEYED, IN_SLOT] = [1, 2];
const SHAPES = ['one', 'list', 'tensors'] as const;
const HEAD_BYTES = 48;
const ROW_BYTES = 40;
const [EPOCH, DIGEST, ROWS, KNOWN] = [4, 8, 40, 44];
const HEX = /^[0-9a-f]{64}$/;

const aligned = (bytes: number): number => Math.ceil(bytes / 8) * 8;

/** Undefined for a task that has no form as bytes. */
export function taskBytes(task: GivenTask): Buffer | undefined {
  const { shape, rows, keys, known, digest, epoch } = task;
  if (!HEX.test(digest) || !(epoch >= 0 && epoch < 2 ** 32)) return undefined;
  for (const key of keys) if (key !== null && !HEX.test(key)) return undefined;
  const outputs = known === undefined ? '' : JSON.stringify(known);
  const knownBytes = Buffer.byteLength(outputs);
  const knownAt = HEAD_BYTES + ROW_BYTES * rows.length;
  let bytes = aligned(knownAt + knownBytes);
  const contents: (Buffer | BytePieces)[] = [];
  for (const row of rows) {
    if (typeof row === 'string') return undefined;
    const content = isSlot(row) ? Buffer.from(slotText(row)) : row;
    contents.push(content);
    bytes += aligned(content.length);
  }
  const out = Buffer.allocUnsafe(bytes);
  out.writeUInt32LE((rows.some(isSlot) ? SLOT_VERSION : VERSION) + 256 * SHAPES.indexOf(shape), 0);
  out.writeUInt32LE(epoch, EPOCH);
  out.write(digest, DIGEST, 'hex');
  out.writeUInt32LE(rows.length, ROWS);
  out.writeUInt32LE(knownBytes, KNOWN);
  if (knownBytes > 0) out.write(outputs, knownAt);
  let at = aligned(knownAt + knownBytes);
  out.fill(0, knownAt + knownBytes, at);
  // An iterator of entries would create an array for each row.
  for (let index = 0; index < contents.length; index += 1) {
    const row = contents[index] as Buffer | BytePieces;
    const place = HEAD_BYTES + ROW_BYTES * index;
    const key = keys[index] ?? null;
    out.writeUInt32LE(row.length, place);
    const slot = rows[index] === row ? 0 : IN_SLOT;
    out.writeUInt32LE(slot + (key === null ? 0 : KEYED), place + 4);
    if (key === null) out.fill(0, place + 8, place + ROW_BYTES);
    else out.write(key, place + 8, 'hex');
    let to = at;
    if (row instanceof BytePieces) for (const piece of row.pieces) to += piece.copy(out, to);
    else row.copy(out, to);
    out.fill(0, at + row.length, at + aligned(row.length));
    at += aligned(row.length);
  }
  return out;
}

/** Whether the bytes are a task in this form, of any version. */
export const isTaskBytes = (bytes: Buffer): boolean => bytes.length > 0 && (bytes[0] ?? 0) < 0x20;

/** Whether a stored task names slots. */
export const namesSlots = (stored: StoredTask): boolean => typeof stored === 'object' && stored[0] === SLOT_VERSION;

/** Reads a task. The rows are views of `bytes`. Returns undefined for bytes that are cut, damaged, or of another version. */
export function readTaskBytes(bytes: Buffer): Task | undefined {
  if (bytes.length < HEAD_BYTES || (bytes[0] !== VERSION && bytes[0] !== SLOT_VERSION)) return undefined;
  const shape = SHAPES[bytes[1] ?? 0];
  const count = bytes.readUInt32LE(ROWS);
  const knownAt = HEAD_BYTES + ROW_BYTES * count;
  const knownEnd = knownAt + bytes.readUInt32LE(KNOWN);
  if (shape === undefined || knownEnd > bytes.length) return undefined;
  // Arrays of their length: the first push to an empty array takes memory for seventeen values.
  const rows = new Array<Row>(count);
  const keys = new Array<string | null>(count);
  let at = aligned(knownEnd);
  for (let index = 0; index < count; index += 1) {
    const place = HEAD_BYTES + ROW_BYTES * index;
    const end = at + bytes.readUInt32LE(place);
    if (end > bytes.length) return undefined;
    const flags = bytes[place + 4] ?? 0;
    const row = flags & IN_SLOT ? parseSlot(bytes.toString('latin1', at, end)) : bytes.subarray(at, end);
    if (row === undefined) return undefined;
    rows[index] = row;
    keys[index] = flags & KEYED ? bytes.toString('hex', place + 8, place + ROW_BYTES) : null;
    at = aligned(end);
  }
  const known = knownEnd === knownAt ? undefined : readKnown(bytes.toString('utf8', knownAt, knownEnd), count);
  if (known === null) return undefined;
  const digest = bytes.toString('hex', DIGEST, ROWS);
  const task: Task = { shape, rows, keys, digest, epoch: bytes.readUInt32LE(EPOCH) };
  if (known !== undefined) task.known = known;
  return task;
}

const isTextOrNull = (value: unknown): value is string | null => value === null || typeof value === 'string';

function readKnown(json: string, count: number): (string | null)[] | null {
  try {
    const known: unknown = JSON.parse(json);
    return Array.isArray(known) && known.length === count && known.every(isTextOrNull) ? known : null;
  } catch {
    return null;
  }
}
