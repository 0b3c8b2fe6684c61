/** Tensors as they travel inside Millrace: little-endian typed arrays with ONNX's element types. */

/** ONNX element types that onnxruntime-node carries. */
export const DTYPES = [
  'float16',
  'float32',
  'float64',
  'int8',
  'int16',
  'int32',
  'int64',
  'uint8',
  'uint16',
  'uint32',
  'uint64',
  'bool',
  'string',
] as const;

export type Dtype = (typeof DTYPES)[number];

/** Row-major elements. float16 is carried as its raw 16 bits in a Uint16Array, bool as 0 and 1 in a Uint8Array. */
export type TensorData =
  | Float32Array
  | Float64Array
  | Int8Array
  | Int16Array
  | Int32Array
  | BigInt64Array
  | Uint8Array
  | Uint16Array
  | Uint32Array
  | BigUint64Array
  | string[];

export interface Tensor {
  dtype: Dtype;
  dims: readonly number[];
  data: TensorData;
}

export type TensorMap = Record<string, Tensor>;

/** One input or output of a model. A dimension is a number, or a name (or '' when it has none) where it is free. */
export interface TensorSpec {
  name: string;
  dtype: Dtype;
  shape: readonly (number | string)[];
}
