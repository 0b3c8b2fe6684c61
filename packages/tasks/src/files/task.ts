/** The interface of a task: a handler that Millrace brings along. */
import type { Handler, TensorMap } from '@millrace/shared/model-files/handler';
import type { TensorSpec } from '@millrace/shared/tensors/tensor';

/** Runs the model once. */
export type RunModel = (tensors: TensorMap) => Promise<TensorMap>;

/** The inputs and outputs of the model. */
export interface TensorNames {
  inputs: readonly TensorSpec[];
  outputs: readonly TensorSpec[];
}

export interface Task extends Handler {
  /** Loads the parts that `canonicalize` needs, so that the first input does not wait for the load. */
  prepare?(): void | Promise<void>;
  /**
   * Returns the outputs of rows, in the order of the rows, with as many runs of the model as the task likes. Without this function one
   * run takes all rows, between `encode` and `decode`.
   */
  run?(rows: readonly unknown[], model: RunModel): Promise<unknown[]>;
}
