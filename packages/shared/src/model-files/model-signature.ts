/** The signature of a model: the names, types and shapes of its tensors. */
import type { TensorSpec } from '../tensors/tensor.ts';

/** The inputs and outputs of an ONNX file. */
export interface ModelSignature {
  inputs: readonly TensorSpec[];
  outputs: readonly TensorSpec[];
}
