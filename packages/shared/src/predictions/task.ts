/** Writes and reads tasks in both forms. */
import { BytePieces } from '../tensors/byte-pieces.ts';
import { tensorsOfBytes } from '../tensors/tensor-bytes.ts';
import { tensorRowText } from '../tensors/tensor-rows.ts';
import { readSlot } from './slots.ts';
import { isTaskBytes, readTaskBytes, taskBytes } from './task-bytes.ts';
import { type GivenTask, type InputRow, isSlot, type Row, type StoredTask, type Task } from './task-type.ts';

export {
  type GivenRow,
  type GivenTask,
  type InputRow,
  isSlot,
  type Row,
  type SlotRow,
  type StoredTask,
  type Task,
} from './task-type.ts';

/** Length of a row, in characters, from which `taskText` writes the row with `quoteRow`. */
const LONG_ROW = 65_536;

/** The form of a task in the live state. Rows of JSON text have no form as bytes. */
export const storedTask = (task: GivenTask, mayBeBytes: boolean): StoredTask =>
  (mayBeBytes && typeof task.rows[0] === 'object' && task.onError === undefined ? taskBytes(task) : undefined) ??
  taskText(joinedTask(task));

/** The task with a copy of each row in pieces. Returns a task without such a row as it is. */
export const joinedTask = (task: GivenTask): Task =>
  hasNoPieces(task)
    ? task
    : { ...task, rows: task.rows.map((row) => (row instanceof BytePieces ? row.joined() : row)) };

const hasNoPieces = (task: GivenTask): task is Task => task.rows.every((row) => !(row instanceof BytePieces));

/**
 * The JSON text of a stored task, for the ledger; '' for a task that cannot be read, or whose slot is gone. A prediction without a
 * task cannot be retried.
 */
export function textOfTask(stored: StoredTask): string {
  if (typeof stored === 'string') return stored;
  const task = readWholeTask(stored);
  return task === undefined ? '' : taskText(task);
}

/** As `readTask`, with the bytes of each slot in its place. Undefined also if a slot is gone. */
export function readWholeTask(stored: StoredTask): (Task & { rows: InputRow[] }) | undefined {
  const task = readTask(stored);
  if (task === undefined) return undefined;
  try {
    return { ...task, rows: task.rows.map((row) => (isSlot(row) ? readSlot(row) : row)) };
  } catch {
    return undefined;
  }
}

function rowText(row: Row): string {
  if (typeof row === 'string') return row;
  if (isSlot(row)) throw new Error('a slot has no text: read the whole task first');
  return tensorRowText(tensorsOfBytes(row));
}

/** Returns the JSON text of a task without slots, which readTask reads. */
export function taskText(task: Task): string {
  const [first] = task.rows;
  // The usual task: a short row of JSON. Rows of one task have the same form.
  if (typeof first === 'string' && first.length < LONG_ROW && task.rows.length === 1) return JSON.stringify(task);
  const { shape, rows: given, ...others } = task;
  const rows = given.map(rowText);
  if ((rows[0]?.length ?? 0) < LONG_ROW) return JSON.stringify({ shape, rows, ...others });
  return `{"shape":"${shape}","rows":[${rows.map(quoteRow).join()}],${JSON.stringify(others).slice(1)}`;
}

const QUOTES_MAX = 1_000;

/**
 * Returns the text that JSON.stringify writes for a row. A row is canonical JSON, so that only `"` and `\` need an escape, and
 * the row of a tensor is base64 with a few quotes. JSON.stringify takes 30 ms for the 10 MB of a million doubles.
 */
function quoteRow(row: string): string {
  if (row.includes('\\')) return JSON.stringify(row);
  let text = '"';
  let from = 0;
  for (let quotes = 0; quotes < QUOTES_MAX; quotes += 1) {
    const at = row.indexOf('"', from);
    if (at === -1) return `${text}${row.slice(from)}"`;
    text += `${row.slice(from, at)}\\"`;
    from = at + 1;
  }
  return JSON.stringify(row);
}

const isObject = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null;
const isText = (value: unknown): boolean => typeof value === 'string';
const isTextOrNull = (value: unknown): boolean => value === null || isText(value);

/** Reads a task in either form. Returns undefined for a task that is cut, damaged, or of an unknown layout. */
export function readTask(stored: StoredTask): Task | undefined {
  if (typeof stored === 'object' && isTaskBytes(stored)) return readTaskBytes(stored);
  let task: unknown;
  try {
    task = JSON.parse(String(stored));
  } catch {
    return undefined;
  }
  return isTask(task) ? task : undefined;
}

const isRowError = (value: unknown): boolean => isObject(value) && Number.isInteger(value.row) && isObject(value.error);

function isTask(value: unknown): value is Task {
  if (!isObject(value)) return false;
  const { shape, rows, keys, known, digest, epoch, onError, invalid } = value;
  return (
    (shape === 'one' || shape === 'list' || shape === 'tensors') &&
    Array.isArray(rows) &&
    rows.every(isText) &&
    Array.isArray(keys) &&
    keys.length === rows.length &&
    keys.every(isTextOrNull) &&
    (known === undefined || (Array.isArray(known) && known.every(isTextOrNull))) &&
    (onError === undefined || onError === 'row') &&
    (invalid === undefined || (Array.isArray(invalid) && invalid.every(isRowError))) &&
    isText(digest) &&
    typeof epoch === 'number'
  );
}
