/** What an engine needs of a model version, and what comes of a run. */
import type { Entity } from '@millrace/shared/entities/entity';
import type { ModelContent } from '@millrace/shared/model-files/model-folder';
import type { OnnxValue } from '@millrace/shared/model-files/onnx-file';
import type { Text } from '@millrace/shared/predictions/long-text';
import type { TensorSpec } from '@millrace/shared/tensors/tensor';

/** A model version as engines load it. `key` is its identity in an engine: equal keys, equal answers. */
export interface LoadedVersion {
  key: string;
  model: string;
  version: string;
  content: ModelContent;
  /** null for a model of raw tensors. */
  handler: { path: string; digest: string } | null;
  /** Rows of the entity sets that the handler reads, by entity. */
  entities: Readonly<Record<string, readonly Entity[]>>;
  labels: Readonly<Record<string, readonly string[]>>;
  /** Most rows in one engine call; 1 for models of which no batch can be formed. */
  maxBatch: number;
  /** Longest that one engine call may take. */
  timeoutMs: number;
  signature: { inputs: readonly TensorSpec[]; outputs: readonly TensorSpec[] };
}

/** One row's fate. `inferenceMs` is of the run it was part of, `batchSize` the rows of that run. */
export type RowResult =
  | { ok: true; output: Text; inferenceMs: number; batchSize: number }
  | { ok: false; code: 'inference_failed' | 'inference_timeout'; detail: string };

/** Body of LOAD (v8 structured clone, so that vectors go as bytes). */
export interface LoadRequest {
  session: number;
  content: ModelContent;
  handler: { path: string; digest: string } | null;
  entities: Readonly<Record<string, readonly Entity[]>>;
  labels: Readonly<Record<string, readonly string[]>>;
  threads: number;
  /** Keeps what the file says of its operators, for the questions of probe.ts. */
  inspect?: boolean;
}

/** Answer to LOAD. */
export interface LoadAnswer {
  loadMs: number;
  residentBytes: number;
  /** The most that the engine ever held. */
  peakBytes: number;
  inputs: RawSpec[];
  outputs: RawSpec[];
  /** What the verified file itself says of them; not there without `inspect`. */
  file?: { inputs: readonly OnnxValue[]; outputs: readonly OnnxValue[] };
}

/** An input or output as onnxruntime tells it; `type` is undefined for what is no tensor. */
export interface RawSpec {
  name: string;
  type: string | undefined;
  shape: (number | string)[];
}
