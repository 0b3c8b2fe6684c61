/**
 * The computation of one prediction. The live state contains the task as JSON text, and `take` returns the task to the worker. The
 * ledger contains the task of each promise, so that the reconciler can restore the prediction. Tasks stay in the queue over an
 * upgrade: add fields, and never change the meaning of a field.
 */
export interface Task {
  /**
   * `one`: a single input; the output is the output of the row. `list`: `inputs`; the output is an array. `tensors`: raw tensors
   * with n rows in their first dimension; the rows are cached singly, and the output is the tensors joined again.
   */
  shape: 'one' | 'list' | 'tensors';
  /** Canonical form (JSON text) of each row. Rows of raw tensors have the JSON text of tensor-json.ts. */
  rows: string[];
  /** Cache key (hex) of each row; null when the result of the row is not stored. */
  keys: (string | null)[];
  /** Outputs (JSON text) that were known at submission, by row; absent when no output was known. */
  known?: (string | null)[];
  /** Digest of the model version. */
  digest: string;
  /** Epoch of the model's cache at submission. */
  epoch: number;
}

/** Length of a row, in characters, from which `taskText` writes the row with `quoteRow`. */
const LONG_ROW = 65_536;

/** Returns the JSON text of a task, which readTask reads. */
export function taskText(task: Task): string {
  if ((task.rows[0]?.length ?? 0) < LONG_ROW) return JSON.stringify(task);
  const { shape, rows, ...others } = task;
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

/** Reads a task from its JSON text. Returns undefined for text that is cut, damaged, or of an unknown layout. */
export function readTask(text: string): Task | undefined {
  let task: unknown;
  try {
    task = JSON.parse(text);
  } catch {
    return undefined;
  }
  return isTask(task) ? task : undefined;
}

function isTask(value: unknown): value is Task {
  if (!isObject(value)) return false;
  const { shape, rows, keys, known, digest, epoch } = value;
  return (
    (shape === 'one' || shape === 'list' || shape === 'tensors') &&
    Array.isArray(rows) &&
    rows.every(isText) &&
    Array.isArray(keys) &&
    keys.length === rows.length &&
    keys.every(isTextOrNull) &&
    (known === undefined || (Array.isArray(known) && known.every(isTextOrNull))) &&
    isText(digest) &&
    typeof epoch === 'number'
  );
}
