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
