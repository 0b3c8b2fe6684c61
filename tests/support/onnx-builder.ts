/** Builds small ONNX files field by field (onnx.proto3): tests need no Python and can create invalid files. */
import type { Dtype } from '@millrace/shared/tensors/tensor';

/** TensorProto.DataType. */
const ELEMENT_TYPES: Readonly<Record<Dtype | 'complex64', number>> = {
  float32: 1,
  uint8: 2,
  int8: 3,
  uint16: 4,
  int16: 5,
  int32: 6,
  int64: 7,
  string: 8,
  bool: 9,
  float16: 10,
  float64: 11,
  uint32: 12,
  uint64: 13,
  complex64: 14,
};

type Part = Buffer;

function varint(value: number | bigint): Buffer {
  const bytes: number[] = [];
  let rest = BigInt.asUintN(64, BigInt(value));
  do {
    bytes.push(Number(rest & 0x7fn) | (rest > 0x7fn ? 0x80 : 0));
    rest >>= 7n;
  } while (rest > 0n);
  return Buffer.from(bytes);
}

const int = (field: number, value: number | bigint): Part => Buffer.concat([varint(field << 3), varint(value)]);
const bytes = (field: number, value: Uint8Array | string): Part => {
  const body = typeof value === 'string' ? Buffer.from(value) : value;
  return Buffer.concat([varint((field << 3) | 2), varint(body.length), body]);
};
const real = (field: number, value: number): Part => Buffer.concat([varint((field << 3) | 5), floats(value)]);
const message = (field: number, parts: readonly Part[]): Part => bytes(field, Buffer.concat(parts));

interface ValueSpec {
  name: string;
  dtype: Dtype | 'complex64';
  /** Undefined for a tensor of any rank. */
  shape?: readonly (number | string)[];
  /** A sequence of such tensors. */
  sequence?: boolean;
}

interface TensorSource {
  name: string;
  dtype: Dtype;
  dims: readonly number[];
  /** Little-endian bytes, strings, or the path of a file with the data. */
  data: Uint8Array | string[] | { location: string };
}

type Attribute =
  | number
  | string
  | readonly number[]
  | readonly string[]
  | { float: number }
  | { floats: readonly number[] }
  | GraphSource
  | TensorSource;

interface NodeSource {
  op: string;
  inputs: readonly string[];
  outputs: readonly string[];
  domain?: string;
  attributes?: Readonly<Record<string, Attribute>>;
}

export interface GraphSource {
  nodes: readonly NodeSource[];
  inputs: readonly ValueSpec[];
  outputs: readonly ValueSpec[];
  initializers?: readonly TensorSource[];
}

/** A function of the model, called as `name` of the domain `local`. */
export interface FunctionSource {
  name: string;
  inputs: readonly string[];
  outputs: readonly string[];
  nodes: readonly NodeSource[];
}

interface ModelOptions {
  opset?: number;
  irVersion?: number;
  functions?: readonly FunctionSource[];
}

/** The bytes of a model. `opset` 17 by default. */
export function onnxModel(
  graph: GraphSource,
  { opset = 17, irVersion = 8, functions = [] }: ModelOptions = {},
): Buffer {
  const main = [bytes(1, ''), int(2, opset)];
  const imports = [message(8, main), message(8, [bytes(1, 'ai.onnx.ml'), int(2, 3)])];
  if (functions.length > 0) imports.push(message(8, [bytes(1, 'local'), int(2, 1)]));
  const own = functions.map(({ name, inputs, outputs, nodes }) =>
    message(25, [
      bytes(1, name),
      ...inputs.map((input) => bytes(4, input)),
      ...outputs.map((output) => bytes(5, output)),
      ...nodes.map((node) => nodePart(node, 7)),
      message(9, main),
      bytes(10, 'local'),
    ]),
  );
  const head = [int(1, irVersion), bytes(2, 'millrace-test')];
  return Buffer.concat([...head, message(7, graphParts(graph)), ...imports, ...own]);
}

export const floats = (...values: number[]): Uint8Array => new Uint8Array(Float32Array.from(values).buffer);
export const longs = (...values: number[]): Uint8Array => new Uint8Array(BigInt64Array.from(values, BigInt).buffer);

function graphParts({ nodes, inputs, outputs, initializers = [] }: GraphSource): Part[] {
  return [
    ...nodes.map((node) => nodePart(node, 1)),
    bytes(2, 'graph'),
    ...initializers.map((tensor) => message(5, tensorParts(tensor))),
    ...inputs.map((value) => message(11, valueParts(value))),
    ...outputs.map((value) => message(12, valueParts(value))),
  ];
}

/** `field` is the field number in the graph or function that contains the node. */
function nodePart({ op, inputs, outputs, domain, attributes = {} }: NodeSource, field: number): Part {
  return message(field, [
    ...inputs.map((name) => bytes(1, name)),
    ...outputs.map((name) => bytes(2, name)),
    bytes(4, op),
    ...(domain === undefined ? [] : [bytes(7, domain)]),
    ...Object.entries(attributes).map(([name, value]) => message(5, [bytes(1, name), ...attributeParts(value)])),
  ]);
}

function attributeParts(value: Attribute): Part[] {
  if (typeof value === 'number') return [int(3, value), int(20, 2)];
  if (typeof value === 'string') return [bytes(4, value), int(20, 3)];
  if (Array.isArray(value)) {
    if (typeof value[0] === 'string') return [...value.map((item: string) => bytes(9, item)), int(20, 8)];
    return [...value.map((item: number) => int(8, item)), int(20, 7)];
  }
  if ('float' in value) return [real(2, value.float), int(20, 1)];
  if ('floats' in value) return [...value.floats.map((item) => real(7, item)), int(20, 6)];
  if ('nodes' in value) return [message(6, graphParts(value)), int(20, 5)];
  return [message(5, tensorParts(value as TensorSource)), int(20, 4)];
}

function tensorParts({ name, dtype, dims, data }: TensorSource): Part[] {
  const body = Array.isArray(data)
    ? data.map((text) => bytes(6, text))
    : data instanceof Uint8Array
      ? [bytes(9, data)]
      : [message(13, [bytes(1, 'location'), bytes(2, data.location)]), int(14, 1)];
  return [...dims.map((dim) => int(1, dim)), int(2, ELEMENT_TYPES[dtype]), bytes(8, name), ...body];
}

function valueParts({ name, dtype, shape, sequence }: ValueSpec): Part[] {
  const dim = (size: number | string) => message(1, [typeof size === 'number' ? int(1, size) : bytes(2, size)]);
  const shapes = shape === undefined ? [] : [message(2, shape.map(dim))];
  const tensor = message(1, [int(1, ELEMENT_TYPES[dtype]), ...shapes]);
  return [bytes(1, name), message(2, [sequence ? message(4, [message(1, [tensor])]) : tensor])];
}
