/**
 * What is to be computed for one prediction: kept as JSON text in its live state, handed to the worker by `take`, and
 * in the ledger for promises, so that the reconciler can add it again. Old tasks stay in flight over an upgrade: add
 * fields, never change one's meaning.
 */
export interface Task {
  /**
   * `one`: a single input, output is its output. `list`: `inputs`, output is an array. `tensors`: raw tensors with n
   * rows in their first dimension, cached apart; output is the tensors joined again.
   */
  shape: 'one' | 'list' | 'tensors';
  /** Canonical form (JSON text) of each row; for raw tensors the JSON text of tensor-json.ts. */
  rows: string[];
  /** Cache key (hex) of each row; null where it is not to be stored. */
  keys: (string | null)[];
  /** JSON text of outputs that were known at submission, by row; absent where none was. */
  known?: (string | null)[];
  /** Digest of the model version that was asked. */
  digest: string;
  /** Epoch of the model's cache at submission. */
  epoch: number;
}

/** Characters of a row from which on `taskText` writes the row by `quoteRow`. */
const LONG_ROW = 65_536;

/** The JSON text of a task, which readTask reads. */
export function taskText(task: Task): string {
  if ((task.rows[0]?.length ?? 0) < LONG_ROW) return JSON.stringify(task);
  const { shape, rows, ...others } = task;
  return `{"shape":"${shape}","rows":[${rows.map(quoteRow).join()}],${JSON.stringify(others).slice(1)}`;
}

const QUOTES_MAX = 1_000;

/**
 * The text that JSON.stringify writes for a row. A row is canonical JSON, so that only `"` and `\` need an escape, and a
 * tensor's row is base64 with a few quotes. JSON.stringify takes 30 ms for the 10 MB of a million doubles.
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

const isText = (value: unknown): boolean => typeof value === 'string';
const isTextOrNull = (value: unknown): boolean => value === null || isText(value);

/** The Task that a JSON text holds; undefined for text that is none: cut, damaged, or of a layout that we do not know. */
export function readTask(text: string): Task | undefined {
  let task: Partial<Task> | null;
  try {
    task = JSON.parse(text) as Partial<Task> | null;
  } catch {
    return undefined;
  }
  const { shape, rows, keys, known, digest, epoch } = task ?? {};
  const fits =
    (shape === 'one' || shape === 'list' || shape === 'tensors') &&
    Array.isArray(rows) &&
    rows.every(isText) &&
    Array.isArray(keys) &&
    keys.length === rows.length &&
    keys.every(isTextOrNull) &&
    (known === undefined || (Array.isArray(known) && known.every(isTextOrNull))) &&
    isText(digest) &&
    typeof epoch === 'number';
  return fits ? (task as Task) : undefined;
}
