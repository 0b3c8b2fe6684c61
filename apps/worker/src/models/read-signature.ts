/** Reads the signature of a model from onnxruntime and from the file, or finds the reason why Millrace cannot serve the model. */
import type { OnnxFile, OnnxValue } from '@millrace/shared/model-files/onnx-file';
import { DTYPES, type Dtype, type TensorSpec } from '@millrace/shared/tensors/tensor';
import type { RawSpec } from '../engine/protocol/loaded-version.ts';

export interface Signature {
  inputs: readonly TensorSpec[];
  outputs: readonly TensorSpec[];
}

/** A well-formed model that Millrace cannot serve. The message is a sentence for the owner of the model. */
export class RefusedModelError extends Error {
  override name = 'RefusedModelError';
}

/** Element types that no tensor of Millrace can hold. Source: onnx.proto3, TensorProto.DataType. */
const OTHER_TYPES: Readonly<Record<number, string>> = {
  14: 'complex64',
  15: 'complex128',
  16: 'bfloat16',
  17: 'float8e4m3fn',
  18: 'float8e4m3fnuz',
  19: 'float8e5m2',
  20: 'float8e5m2fnuz',
  21: 'uint4',
  22: 'int4',
  23: 'float4e2m1',
  24: 'float8e8m0',
  25: 'uint2',
  26: 'int2',
};

/**
 * Refuses a model whose inputs or outputs Millrace cannot carry. Throws RefusedModelError. Before an engine loads the model, an output may
 * be a sequence: the engine stacks the tensors of the sequence where possible.
 */
export function refuseByFile(
  { inputs, outputs }: Pick<OnnxFile, 'inputs' | 'outputs'>,
  { isLoaded }: { isLoaded: boolean },
): void {
  const check = (what: string, { name, kind, elementType }: OnnxValue) => {
    const isStacked = !isLoaded && what === 'output' && kind === 'sequence';
    if (kind !== 'tensor' && kind !== 'unknown' && !isStacked)
      throw new RefusedModelError(`The ${what} "${name}" is a ${kind}: only tensors can be carried.`);
    const type = OTHER_TYPES[elementType];
    if (type !== undefined)
      throw new RefusedModelError(`The ${what} "${name}" is of type ${type}, which cannot be carried.`);
  };
  for (const input of inputs) check('input', input);
  for (const output of outputs) check('output', output);
  if (outputs.length === 0) throw new RefusedModelError('The model has no outputs.');
}

/** The signature of a loaded model. Throws RefusedModelError. */
export function signatureOf(
  raw: { inputs: readonly RawSpec[]; outputs: readonly RawSpec[] },
  file: Pick<OnnxFile, 'inputs' | 'outputs'>,
): Signature {
  return {
    inputs: raw.inputs.map((spec) => specOf('input', spec, file.inputs)),
    outputs: raw.outputs.map((spec) => specOf('output', spec, file.outputs)),
  };
}

function specOf(what: string, { name, type, shape }: RawSpec, values: readonly OnnxValue[]): TensorSpec {
  if (type === undefined || !DTYPES.includes(type as Dtype))
    throw new RefusedModelError(
      `The ${what} "${name}" is ${type === undefined ? 'no tensor' : `of type ${type}`}, which cannot be carried.`,
    );
  // onnxruntime reports a tensor of unknown rank as a scalar. The file distinguishes the two.
  const anyRank = shape.length === 0 && values.find((value) => value.name === name)?.hasShape === false;
  return { name, dtype: type as Dtype, shape: anyRank ? ['...'] : shape };
}

/**
 * The signature with the first dimension of the inputs in the outputs that follow the rows by the operators. Exporters often declare
 * such an output with another name (`DynamicDimension.3`), or with one element (the label of LightGBM's exports).
 */
export function withRowOutputs({ inputs, outputs }: Signature, rowOutputs: readonly string[]): Signature {
  const first = rowDimension(inputs);
  if (first === undefined) return { inputs, outputs };
  const follow = (spec: TensorSpec): TensorSpec =>
    rowOutputs.includes(spec.name) && spec.shape.length > 0 && spec.shape[0] !== '...'
      ? { ...spec, shape: [first, ...spec.shape.slice(1)] }
      : spec;
  return { inputs, outputs: outputs.map(follow) };
}

/** A trial needs a free first dimension with the same name (or no name) in all inputs and outputs. No other dimension has that name. */
export function isCandidate({ inputs, outputs }: Signature): boolean {
  const first = rowDimension(inputs);
  if (first === undefined || outputs.length === 0) return false;
  return [...inputs, ...outputs].every(
    ({ shape }) => shape[0] === first && (first === '' || !shape.slice(1).includes(first)),
  );
}

function rowDimension(inputs: readonly TensorSpec[]): string | undefined {
  const first = inputs[0]?.shape[0];
  return typeof first === 'string' && first !== '...' ? first : undefined;
}
