/** The names of element types in the Open Inference Protocol. */
import type { Dtype, TensorSpec } from '@millrace/shared/tensors/tensor';

const OF_DTYPE: Readonly<Record<Dtype, string>> = {
  float16: 'FP16',
  float32: 'FP32',
  float64: 'FP64',
  int8: 'INT8',
  int16: 'INT16',
  int32: 'INT32',
  int64: 'INT64',
  uint8: 'UINT8',
  uint16: 'UINT16',
  uint32: 'UINT32',
  uint64: 'UINT64',
  bool: 'BOOL',
  string: 'BYTES',
};

const TO_DTYPE = new Map(Object.entries(OF_DTYPE).map(([dtype, datatype]) => [datatype, dtype as Dtype]));

export const datatypeOf = (dtype: Dtype): string => OF_DTYPE[dtype];
export const dtypeOf = (datatype: string): Dtype | undefined => TO_DTYPE.get(datatype);
export const DATATYPES: readonly string[] = Object.values(OF_DTYPE);

/** The protocol writes -1 for a free dimension. */
export const tensorMetadata = ({ name, dtype, shape }: TensorSpec) => ({
  name,
  datatype: datatypeOf(dtype),
  shape: shape.map((dim) => (typeof dim === 'number' ? dim : -1)),
});
