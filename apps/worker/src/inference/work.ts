/** The taken predictions of a run: their rows, the names of equal rows, and the results. */

import type { Taken } from '@millrace/shared/live/store';
import { hasSlot, isCacheSlot } from '@millrace/shared/predictions/slots';
import { isSlot, type Row, readTask, type SlotRow, type Task } from '@millrace/shared/predictions/task';
import type { ModelVersion } from '@millrace/shared/registry/registry-types';
import type { LoadedVersion, RowResult } from '../engine/protocol/loaded-version.ts';

export interface Target {
  version: ModelVersion;
  loaded: LoadedVersion;
  shard: number;
  /** BullMQ's number. The run with the lowest number gets the next free engine. */
  priority: number;
}

/** A taken prediction with its rows. */
export interface Work {
  taken: Taken;
  task: Task;
  /** The name of each row: rows with equal names are equal. */
  names: readonly string[];
  /** The slots of this worker with rows of the cache Redis: see fetched-rows.ts. */
  fetched?: readonly SlotRow[];
  /** The result of each row, from the task or computed. */
  results: (RowResult | undefined)[];
}

// The ledger, or the API whose caller waits, still has a prediction whose live state is discarded.
const UNREADABLE = 'the task of a prediction cannot be read in Redis: its live state is discarded';
export const SLOT_GONE = 'the slot with the input of a prediction is out of reach: its live state is discarded';

/** Whether this worker can read all files of a task. The files of another machine, and of an API that was killed, are out of reach. */
const isReachable = ({ rows }: Task): boolean => rows.every((row) => !isSlot(row) || isCacheSlot(row) || hasSlot(row));

/** A longer row of bytes, and a slot, are named by their cache key. */
const NAMED_BYTES = 1_024;

/** Undefined for a long row of bytes without a key: no other row counts as equal. */
export function rowName(row: Row, key: string | null): string | undefined {
  if (typeof row === 'string') return row;
  return isSlot(row) || row.length > NAMED_BYTES ? (key ?? undefined) : row.toString('latin1');
}

/** Without rows that were begun ahead, which have no keys, a key names a row of bytes: a text of the bytes would be a copy. */
function namesOf({ rows, keys }: Task, id: string, begins: boolean): string[] {
  return rows.map((row, at) => {
    const key = keys[at] ?? null;
    if (key !== null && !begins && typeof row !== 'string') return key;
    return rowName(row, key) ?? `${id} ${at}`;
  });
}

function resultsIn(task: Task): (RowResult | undefined)[] {
  if (!task.known) return new Array(task.rows.length);
  return task.known.map((output) => (output === null ? undefined : { ok: true, output, inferenceMs: 0, batchSize: 0 }));
}

/** A taken prediction whose task the worker cannot read. */
export interface Unreadable {
  taken: Taken;
  /** For the log. Absent where the log has one line for many predictions. */
  reason?: string;
  /** The error (JSON text) of a prediction whose task no store has. Absent where the live state is discarded and the prediction is restored. */
  error?: string;
}

/** The predictions that this worker can run, and the predictions whose task the worker cannot read. */
export interface Works {
  works: Work[];
  unreadable: Unreadable[];
}

/** `begins`: rows were begun before the predictions were taken. `tasks`: tasks that are not in the live states. */
export function worksOf(taken: readonly Taken[], begins: boolean, tasks?: ReadonlyMap<Taken, Task>): Works {
  const works: Work[] = [];
  const unreadable: Works['unreadable'] = [];
  for (const one of taken) {
    const task = tasks?.get(one) ?? readTask(one.task);
    if (task === undefined) unreadable.push({ taken: one, reason: UNREADABLE });
    else if (isReachable(task))
      works.push({ taken: one, task, names: namesOf(task, one.id, begins), results: resultsIn(task) });
    else unreadable.push({ taken: one, reason: SLOT_GONE });
  }
  return { works, unreadable };
}
