/** The model version that an engine loads, and the result of a run. */
import type { Entity } from '@millrace/shared/entities/entity';
import type { Device, Provider } from '@millrace/shared/model-files/engine-settings';
import type { HandlerFault } from '@millrace/shared/model-files/handler-fault';
import type { ModelContent } from '@millrace/shared/model-files/model-folder';
import type { OnnxValue } from '@millrace/shared/model-files/onnx-file';
import type { TaskFiles } from '@millrace/shared/model-files/task-files';
import type { Text } from '@millrace/shared/predictions/long-text';
import type { InputFault } from '@millrace/shared/tensors/input-error';
import type { TensorSpec } from '@millrace/shared/tensors/tensor';

/** A handler of the user, or a task. */
export type HandlerFiles = { path: string; digest: string } | TaskFiles;

/** A model version as engines load it. Versions with the same `key` give the same results. */
export interface LoadedVersion {
  key: string;
  model: string;
  version: string;
  content: ModelContent;
  /** null for a model of raw tensors. */
  handler: HandlerFiles | null;
  /** Rows of the entity sets that the handler reads, by entity. */
  entities: Readonly<Record<string, readonly Entity[]>>;
  labels: Readonly<Record<string, readonly string[]>>;
  /** Most rows in one engine call. 1 for models without batches. */
  maxBatch: number;
  /** Time limit of one engine call, ms. */
  timeoutMs: number;
  signature: { inputs: readonly TensorSpec[]; outputs: readonly TensorSpec[] };
  /** Absent: `cpu` in every engine, with the threads of the pool. */
  engine?: VersionEngine | undefined;
}

/** The field `engine` of model.json, with the devices of this worker. */
export interface VersionEngine {
  /** The providers that this worker has, in the order of preference, each with the numbers of its devices. */
  providers: readonly { name: Provider; ids: readonly number[] }[];
  /** Threads of one operator. Absent: the threads of the pool. */
  threads?: number | undefined;
  /** The most engines that load the version. Absent: all. */
  instances?: number | undefined;
}

/** The result of the trial of a device. */
export interface DeviceTrial {
  /** The first line of onnxruntime's error. Undefined for a device that runs models. */
  fault?: string;
  /** The most resident bytes of an engine that uses the device and has loaded no model. */
  peakBytes: number;
}

/** The result of one row. `inferenceMs` is the duration of its run, and `batchSize` the number of rows of the run. */
export type RowResult =
  | { ok: true; output: Text; inferenceMs: number; batchSize: number }
  | { ok: false; code: 'inference_failed' | 'inference_timeout'; detail: string }
  | { ok: false; code: 'invalid_input'; detail: string; input: InputFault };

/** Body of LOAD (v8 structured clone, so that vectors go as bytes). */
export interface LoadRequest {
  session: number;
  content: ModelContent;
  handler: HandlerFiles | null;
  entities: Readonly<Record<string, readonly Entity[]>>;
  labels: Readonly<Record<string, readonly string[]>>;
  threads: number;
  /** In the order of preference. The session uses the first device that can open the model. */
  devices: readonly Device[];
  /** Keeps the graph of the file for the requests of probe.ts. */
  inspect?: boolean;
}

/** The response to LOAD. */
export interface LoadReply {
  loadMs: number;
  /** The execution provider of the session. */
  provider: Provider;
  /** Why an earlier device of the request could not open the model. */
  refused?: string;
  residentBytes: number;
  /** Most resident bytes of the engine so far. */
  peakBytes: number;
  inputs: RawSpec[];
  outputs: RawSpec[];
  /** The inputs and outputs of the verified file. Absent without `inspect`. */
  file?: { inputs: readonly OnnxValue[]; outputs: readonly OnnxValue[] };
}

/** An input or output as onnxruntime reports it. `type` is undefined for values that are not tensors. */
export interface RawSpec {
  name: string;
  type: string | undefined;
  shape: (number | string)[];
}

/** The error of a request to an engine. */
export interface EngineFailure {
  message: string;
  /** The stack, or '' for a thrown value that is no error. */
  stack: string;
  /** Where the handler failed. Absent for any other error. */
  fault?: HandlerFault;
  /**
   * The place and the reason of an InputError: the input is at fault, and neither the model nor its handler. A worker whose files were
   * replaced by this version while it runs ignores the member, and counts the row as failed.
   */
  input?: InputFault;
}

/** The argument of an engine that must watch for the end of its worker itself. */
export const WATCH_WORKER = '--watch-worker';
