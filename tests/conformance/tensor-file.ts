/** Reads the suite's test_data_set files, each of which is one TensorProto (onnx.proto3). */
import { DTYPES, type Dtype, type Tensor } from '@millrace/shared/tensors/tensor';
import { dataFromBytes, ELEMENT_BYTES, elementCount, newData } from '@millrace/shared/tensors/tensor-data';

/** TensorProto.DataType → Millrace's dtype. */
const TYPES: Readonly<Record<number, Dtype>> = {
  1: 'float32',
  2: 'uint8',
  3: 'int8',
  4: 'uint16',
  5: 'int16',
  6: 'int32',
  7: 'int64',
  8: 'string',
  9: 'bool',
  10: 'float16',
  11: 'float64',
  12: 'uint32',
  13: 'uint64',
};

interface Field {
  number: number;
  wire: number;
  value: bigint;
  bytes: Buffer;
}

function* fieldsOf(buffer: Buffer): Generator<Field> {
  let at = 0;
  const varint = (): bigint => {
    let value = 0n;
    for (let shift = 0n; ; shift += 7n) {
      const byte = buffer[at++];
      if (byte === undefined) throw new Error('the file ends too early');
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
  };
  const take = (length: number): Buffer => {
    at += length;
    if (at > buffer.length) throw new Error('the file ends too early');
    return buffer.subarray(at - length, at);
  };
  while (at < buffer.length) {
    const tag = Number(varint());
    const wire = tag & 7;
    const field = { number: tag >> 3, wire, value: 0n, bytes: Buffer.alloc(0) as Buffer };
    if (wire === 0) field.value = varint();
    else if (wire === 1) field.bytes = take(8);
    else if (wire === 2) field.bytes = take(Number(varint()));
    else if (wire === 5) field.bytes = take(4);
    else throw new Error('the file is not a protobuf');
    yield field;
  }
}

/** Reads a repeated integer field, packed or one value per field. */
function integersOf({ wire, value, bytes }: Field): bigint[] {
  if (wire === 0) return [BigInt.asIntN(64, value)];
  const values: bigint[] = [];
  for (let at = 0; at < bytes.length; ) {
    let one = 0n;
    for (let shift = 0n; ; shift += 7n) {
      const byte = bytes[at++]!;
      one |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) break;
    }
    values.push(BigInt.asIntN(64, one));
  }
  return values;
}

/** Throws for types that Millrace does not support, and for data that is not a TensorProto. */
export function readTensor(file: Buffer): Tensor & { name: string } {
  const dims: number[] = [];
  const integers: bigint[] = [];
  const strings: string[] = [];
  const floats: Buffer[] = [];
  let raw: Buffer | undefined;
  let type = 0;
  let name = '';
  for (const field of fieldsOf(file)) {
    if (field.number === 1) dims.push(...integersOf(field).map(Number));
    else if (field.number === 2) type = Number(field.value);
    else if (field.number === 4 || field.number === 10) floats.push(field.bytes);
    else if ([5, 7, 11].includes(field.number)) integers.push(...integersOf(field));
    else if (field.number === 6) strings.push(field.bytes.toString());
    else if (field.number === 8) name = field.bytes.toString();
    else if (field.number === 9) raw = field.bytes;
  }
  const dtype = TYPES[type];
  if (dtype === undefined || !DTYPES.includes(dtype)) throw new Error(`a tensor of the unsupported type ${type}`);
  const count = elementCount(dims);
  if (dtype === 'string') return { name, dtype, dims, data: strings };
  const bytes = raw ?? (floats.length > 0 ? Buffer.concat(floats) : undefined);
  if (bytes !== undefined) {
    if (bytes.length !== count * ELEMENT_BYTES[dtype]) throw new Error('a tensor whose bytes do not fit its shape');
    return { name, dtype, dims, data: dataFromBytes(dtype, Uint8Array.from(bytes)) };
  }
  const data = newData(dtype, count) as unknown[];
  const big = dtype === 'int64' || dtype === 'uint64';
  for (const [at, value] of integers.entries()) data[at] = big ? value : Number(value);
  return { name, dtype, dims, data: data as unknown as Tensor['data'] };
}
