/** The types of tensors inside Millrace: little-endian typed arrays with the element types of ONNX. */

/** The ONNX element types that onnxruntime-node supports. */
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

/** The integer types whose elements are JavaScript numbers. */
export type IntegerDtype = 'int8' | 'int16' | 'int32' | 'uint8' | 'uint16' | 'uint32';
export type IntegerData = Int8Array | Int16Array | Int32Array | Uint8Array | Uint16Array | Uint32Array;

/** Row-major elements. A float16 element is 16 raw bits in a Uint16Array. A bool element is 0 or 1 in a Uint8Array. */
export type TensorData = Float32Array | Float64Array | IntegerData | BigInt64Array | BigUint64Array | string[];

export interface Tensor {
  dtype: Dtype;
  dims: readonly number[];
  data: TensorData;
}

export type TensorMap = Record<string, Tensor>;

/** One input or output of a model. A fixed dimension is a number. A free dimension is a name, or '' without a name. */
export interface TensorSpec {
  name: string;
  dtype: Dtype;
  shape: readonly (number | string)[];
}
