/** The types of tasks. task.ts has the functions. */

import type { BytePieces } from '../tensors/byte-pieces.ts';
import type { RowError } from './row-errors.ts';

/** A task in its form for Redis: JSON text, or bytes. */
export type StoredTask = string | Buffer;

/** The canonical form of a row: JSON text, or bytes (tensors/tensor-bytes.ts). */
export type InputRow = string | Buffer;

/** A row before its submission. A long row is in pieces. */
export type GivenRow = InputRow | BytePieces;

/** A row of bytes in a file of shared memory or in the cache Redis: see slots.ts. */
export interface SlotRow {
  /** The path of the file, or the name of the value. */
  slot: string;
  bytes: number;
}

export type Row = InputRow | SlotRow;

export const isSlot = (row: Row | GivenRow): row is SlotRow => typeof row === 'object' && 'slot' in row;

/**
 * The computation of one prediction. The live state contains the task as JSON text or as bytes (task-bytes.ts), and `take` returns the
 * task to the worker. The ledger contains the task of each promise as JSON text, so that the reconciler can restore the prediction.
 * Tasks stay in the queue over an upgrade: add fields, and never change the meaning of a field.
 */
export interface Task {
  /**
   * `one`: a single input; the output is the output of the row. `list`: `inputs`; the output is an array. `tensors`: raw tensors
   * with n rows in their first dimension; the rows are cached singly, and the output is the tensors joined again.
   */
  shape: 'one' | 'list' | 'tensors';
  /** Rows of raw tensors are bytes, or JSON text in a task as text (tensors/tensor-rows.ts). Rows of a handler are JSON text. */
  rows: Row[];
  /** Cache key (hex) of each row; null when the result of the row is not stored. */
  keys: (string | null)[];
  /** Outputs (JSON text) that were known at submission, by row; absent when no output was known. */
  known?: (string | null)[];
  /** Digest of the model version. */
  digest: string;
  /** Epoch of the model's cache at submission. */
  epoch: number;
  /**
   * A row without an output is null in the outputs and has an error, and the other rows have their outputs. Absent for a prediction
   * that fails with its first failing row. A worker without this rule fails the prediction.
   */
  onError?: 'row';
  /** The errors of rows that the API refused. Such a row has the known output `null`, and never runs. */
  invalid?: RowError[];
}

/** A task before its submission. */
export type GivenTask = Omit<Task, 'rows'> & { rows: (Row | GivenRow)[] };
