/**
 * Writes ONNX files byte by byte, because no ONNX writer is installed here. onnx.proto3 defines the field numbers.
 */

export const FLOAT = 1;
export const INT64 = 7;
export const BOOL = 9;

/** A complete model of one graph, in opset 17. */
export function model(whole: Buffer): Buffer {
  return Buffer.concat([varintField(1, 8), field(7, whole), field(8, varintField(2, 17))]);
}

interface GraphParts {
  name: string;
  nodes: Buffer[];
  initializers?: Buffer[];
  inputs: Buffer[];
  outputs: Buffer[];
}

export function graph({ name, nodes, initializers = [], inputs, outputs }: GraphParts): Buffer {
  return Buffer.concat([
    ...nodes.map((part) => field(1, part)),
    field(2, Buffer.from(name)),
    ...initializers.map((part) => field(5, part)),
    ...inputs.map((part) => field(11, part)),
    ...outputs.map((part) => field(12, part)),
  ]);
}

export function node(type: string, inputs: string[], outputs: string[], attributes: Buffer[] = []): Buffer {
  return Buffer.concat([
    ...inputs.map((name) => field(1, Buffer.from(name))),
    ...outputs.map((name) => field(2, Buffer.from(name))),
    field(4, Buffer.from(type)),
    ...attributes.map((part) => field(5, part)),
  ]);
}

export function graphAttribute(name: string, value: Buffer): Buffer {
  return Buffer.concat([field(1, Buffer.from(name)), field(6, value), varintField(20, 5)]);
}

export function intAttribute(name: string, value: number): Buffer {
  return Buffer.concat([field(1, Buffer.from(name)), varintField(3, value), varintField(20, 2)]);
}

export function floatAttribute(name: string, value: number): Buffer {
  // 0x15: field 2, four bytes.
  const bytes = Buffer.from([0x15, 0, 0, 0, 0]);
  bytes.writeFloatLE(value, 1);
  return Buffer.concat([field(1, Buffer.from(name)), bytes, varintField(20, 1)]);
}

export function intsAttribute(name: string, values: readonly number[]): Buffer {
  const items = values.map((value) => varintField(8, value));
  return Buffer.concat([field(1, Buffer.from(name)), ...items, varintField(20, 7)]);
}

export function tensor(name: string, type: number, dims: number[], raw: Buffer): Buffer {
  const head = [...dims.map((dim) => varintField(1, dim)), varintField(2, type), field(8, Buffer.from(name))];
  return Buffer.concat([...head, field(9, raw)]);
}

/** A ValueInfoProto of a tensor type. A dimension with a name instead of a size accepts any size. */
export function value(name: string, type: number, dims: (number | string)[]): Buffer {
  const dimension = (dim: number | string) =>
    typeof dim === 'number' ? varintField(1, dim) : field(2, Buffer.from(dim));
  const shape = Buffer.concat(dims.map((dim) => field(1, dimension(dim))));
  const tensorType = Buffer.concat([varintField(1, type), field(2, shape)]);
  return Buffer.concat([field(1, Buffer.from(name)), field(2, field(1, tensorType))]);
}

function field(number: number, bytes: Buffer): Buffer {
  return Buffer.concat([varint((number << 3) | 2), varint(bytes.length), bytes]);
}

function varintField(number: number, value: number): Buffer {
  return Buffer.concat([varint(number << 3), varint(value)]);
}

/** Protobuf writes a negative number as its 64-bit two's complement. */
function varint(value: number): Buffer {
  const bytes: number[] = [];
  let rest = BigInt.asUintN(64, BigInt(value));
  for (; rest > 0x7fn; rest >>= 7n) bytes.push(Number(rest & 0x7fn) | 0x80);
  return Buffer.from([...bytes, Number(rest)]);
}
