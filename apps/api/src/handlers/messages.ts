/** The messages between an API process and its handler threads. */
import type { Entity } from '@millrace/shared/entities/entity';
import type { Fault } from '@millrace/shared/errors';
import type { VerifiedHandler } from '@millrace/shared/model-files/handler-file';
import type { TaskFiles } from '@millrace/shared/model-files/task-files';
import type { TensorNames } from '@millrace/tasks';

/** The files of a task, which the thread reads, and the names of the tensors of the model. */
export interface TaskSource extends TaskFiles {
  names: TensorNames;
}

/** A handler and the entities that the handler reads. */
export interface HandlerSource {
  /** Names the handler with its entities in messages: the digest of the version. */
  key: string;
  handler: VerifiedHandler | TaskSource;
  entities: Readonly<Record<string, readonly Entity[]>>;
}

/** The rows of an entity are sent before `load`, in several messages: one large message would block the event loop. */
export type ToThread =
  | { kind: 'entities'; key: string; entity: string; rows: readonly Entity[] }
  | { kind: 'load'; key: string; handler: VerifiedHandler | TaskSource }
  | { kind: 'run'; key: string; inputs: readonly unknown[] };

/** The result of one input, and the time of `canonicalize`. */
export type RowResult = RowOutcome & { ms: number };

/** The canonical text of the row, or the reason why there is no row. */
export type RowOutcome =
  | { row: string }
  /** The input does not match the schema of the handler. */
  | { faults: readonly Fault[] }
  /** The handler threw InputError: the input has no prediction. */
  | { refused: Fault }
  /** The handler threw another error, or returned a form that is not JSON. */
  | { failed: string; stack: string };

export type FromThread =
  | { kind: 'loaded'; key: string }
  | { kind: 'not loaded'; key: string; message: string; stack: string }
  /** The results of the first inputs of a run. A thread can end its turn while inputs are left. */
  | { kind: 'ran'; results: readonly RowResult[]; cpuMs: number };

/** Memory that a thread shares with its process. The process reads the memory while the thread is busy. */
export interface Progress {
  /** The index of the current input in its run. */
  input: Int32Array;
  /** The start of the current input, in nanoseconds of `process.hrtime.bigint()`. */
  startedAt: BigInt64Array;
  /** The processor time of the thread at the start of the current input, in microseconds. */
  cpuAt: BigInt64Array;
}

export function progressOf(shared: SharedArrayBuffer): Progress {
  return {
    startedAt: new BigInt64Array(shared, 0, 1),
    cpuAt: new BigInt64Array(shared, 8, 1),
    input: new Int32Array(shared, 16, 1),
  };
}

export const PROGRESS_BYTES = 24;
