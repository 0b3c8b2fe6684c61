/**
 * Reads the nodes of an ONNX file (onnx.proto3) from bytes in memory. Skips weights: keeps the shape of a constant, and the values of a
 * constant of few integers.
 */
import type { OnnxValue } from '@millrace/shared/model-files/onnx-file';

export interface Constant {
  dims: readonly number[];
  /** Integers and booleans of a small constant. Undefined for other constants. */
  values: readonly number[] | undefined;
}

export interface Attribute {
  int: number | undefined;
  ints: readonly number[];
  constant: Constant | undefined;
  graphs: readonly Graph[];
}

export interface GraphNode {
  /** `Relu`, or with its domain where this is not ONNX's own: `com.microsoft.Gelu`. */
  op: string;
  inputs: readonly string[];
  outputs: readonly string[];
  attributes: ReadonlyMap<string, Attribute>;
}

export interface Graph {
  nodes: readonly GraphNode[];
  constants: ReadonlyMap<string, Constant>;
  inputs: readonly string[];
  outputs: readonly string[];
}

/** A function that the model defines, and that nodes call by its name. */
export type LocalFunction = Pick<Graph, 'nodes' | 'inputs' | 'outputs'>;

export interface OnnxModel {
  graph: Graph;
  /** By name as in `GraphNode.op`. */
  functions: ReadonlyMap<string, LocalFunction>;
  /** Version of ONNX's own operator set. */
  opset: number;
  inputs: readonly OnnxValue[];
  outputs: readonly OnnxValue[];
}

/** The file is too large or too deep to be examined. */
export class GraphLimitError extends Error {
  override name = 'GraphLimitError';
}

const NODES_MAX = 200_000;
const FIELDS_MAX = 20_000_000;
const DEPTH_MAX = 64;
const VALUES_MAX = 1_024;

/** Throws GraphLimitError, or RangeError for bytes that are not an ONNX file. */
export function readGraph(bytes: Buffer): OnnxModel {
  return new GraphReader(bytes).model();
}

interface Field {
  number: number;
  /** Of a varint; 0 for others. */
  value: number;
  /** Of a length-delimited field. */
  start: number;
  end: number;
}

class GraphReader {
  readonly #bytes: Buffer;
  #nodes = 0;
  #fields = 0;
  #at = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  model(): OnnxModel {
    let graph: Graph = { nodes: [], constants: new Map(), inputs: [], outputs: [] };
    const functions = new Map<string, LocalFunction>();
    const inputs: OnnxValue[] = [];
    const outputs: OnnxValue[] = [];
    let opset = 0;
    for (const field of this.#each({ start: 0, end: this.#bytes.length })) {
      if (field.number === 7) {
        graph = this.#graph(field, 0);
        for (const part of this.#each(field)) {
          if (part.number === 11) inputs.push(this.#value(part));
          else if (part.number === 12) outputs.push(this.#value(part));
        }
      } else if (field.number === 8) opset = this.#opset(field) ?? opset;
      else if (field.number === 25) this.#function(field, functions);
    }
    return { graph, functions, opset, inputs, outputs };
  }

  #graph(field: Field, depth: number): Graph {
    if (depth > DEPTH_MAX) throw new GraphLimitError('its graphs nest too deep to be examined');
    const nodes: GraphNode[] = [];
    const constants = new Map<string, Constant>();
    const inputs: string[] = [];
    const outputs: string[] = [];
    for (const part of this.#each(field)) {
      if (part.number === 1) nodes.push(this.#node(part, depth));
      else if (part.number === 5) this.#constant(part, constants);
      else if (part.number === 11) inputs.push(this.#value(part).name);
      else if (part.number === 12) outputs.push(this.#value(part).name);
      else if (part.number === 15) {
        for (const tensor of this.#each(part)) if (tensor.number === 1) this.#constant(tensor, constants);
      }
    }
    return { nodes, constants, inputs, outputs };
  }

  #function(field: Field, functions: Map<string, LocalFunction>): void {
    const nodes: GraphNode[] = [];
    const inputs: string[] = [];
    const outputs: string[] = [];
    let name = '';
    let domain = '';
    for (const part of this.#each(field)) {
      if (part.number === 1) name = this.#text(part);
      else if (part.number === 4) inputs.push(this.#text(part));
      else if (part.number === 5) outputs.push(this.#text(part));
      else if (part.number === 7) nodes.push(this.#node(part, 0));
      else if (part.number === 10) domain = this.#text(part);
    }
    functions.set(nameOf(domain, name), { nodes, inputs, outputs });
  }

  #node(field: Field, depth: number): GraphNode {
    this.#nodes += 1;
    if (this.#nodes > NODES_MAX)
      throw new GraphLimitError(`it has more than ${NODES_MAX} nodes, too many to be examined`);
    const inputs: string[] = [];
    const outputs: string[] = [];
    const attributes = new Map<string, Attribute>();
    let op = '';
    let domain = '';
    for (const part of this.#each(field)) {
      if (part.number === 1) inputs.push(this.#text(part));
      else if (part.number === 2) outputs.push(this.#text(part));
      else if (part.number === 4) op = this.#text(part);
      else if (part.number === 7) domain = this.#text(part);
      else if (part.number === 5) this.#attribute(part, depth, attributes);
    }
    return { op: nameOf(domain, op), inputs, outputs, attributes };
  }

  #attribute(field: Field, depth: number, attributes: Map<string, Attribute>): void {
    let name = '';
    let int: number | undefined;
    let constant: Constant | undefined;
    const ints: number[] = [];
    const graphs: Graph[] = [];
    for (const part of this.#each(field)) {
      if (part.number === 1) name = this.#text(part);
      else if (part.number === 3) int = part.value;
      else if (part.number === 5) constant = this.#tensor(part).constant;
      else if (part.number === 6 || part.number === 11) graphs.push(this.#graph(part, depth + 1));
      else if (part.number === 8) this.#integers(part, ints);
    }
    attributes.set(name, { int, ints, constant, graphs });
  }

  #constant(field: Field, constants: Map<string, Constant>): void {
    const { name, constant } = this.#tensor(field);
    constants.set(name, constant);
  }

  #tensor(field: Field): { name: string; constant: Constant } {
    let name = '';
    let type = 0;
    const dims: number[] = [];
    const values: number[] = [];
    let raw: Field | undefined;
    for (const part of this.#each(field)) {
      if (part.number === 1) this.#integers(part, dims);
      else if (part.number === 2) type = part.value;
      else if (part.number === 5 || part.number === 7) this.#integers(part, values);
      else if (part.number === 8) name = this.#text(part);
      else if (part.number === 9) raw = part;
    }
    const count = dims.reduce((product, dim) => product * dim, 1);
    if (count > VALUES_MAX) return { name, constant: { dims, values: undefined } };
    const read = raw === undefined || raw.start === raw.end ? values : this.#rawIntegers(raw, type);
    return { name, constant: { dims, values: INTEGER_TYPES.has(type) ? read : undefined } };
  }

  /** TensorProto.raw_data of few integers: little-endian. */
  #rawIntegers({ start, end }: Field, type: number): number[] | undefined {
    const width = INTEGER_TYPES.get(type);
    if (width === undefined || end - start > width * VALUES_MAX) return undefined;
    const values: number[] = [];
    for (let at = start; at + width <= end; at += width)
      values.push(
        width === 8
          ? Number(this.#bytes.readBigInt64LE(at))
          : type === 2 || type === 9
            ? this.#bytes.readUInt8(at)
            : this.#bytes.readIntLE(at, width),
      );
    return values;
  }

  /** A repeated integer, packed or not. At most VALUES_MAX are kept. */
  #integers({ value, start, end }: Field, into: number[]): void {
    if (start === end && start === 0) {
      if (into.length < VALUES_MAX) into.push(value);
      return;
    }
    for (this.#at = start; this.#at < end && into.length < VALUES_MAX; ) into.push(this.#varint());
  }

  #opset(field: Field): number | undefined {
    let domain = '';
    let version = 0;
    for (const part of this.#each(field)) {
      if (part.number === 1) domain = this.#text(part);
      else if (part.number === 2) version = part.value;
    }
    return domain === '' || domain === 'ai.onnx' ? version : undefined;
  }

  #value(field: Field): OnnxValue {
    const value: OnnxValue = { name: '', kind: 'unknown', elementType: 0, hasShape: false };
    for (const part of this.#each(field)) {
      if (part.number === 1) value.name = this.#text(part);
      if (part.number !== 2) continue;
      for (const type of this.#each(part)) {
        value.kind = KINDS[type.number] ?? value.kind;
        if (type.number !== 1) continue;
        for (const tensor of this.#each(type)) {
          if (tensor.number === 1) value.elementType = tensor.value;
          else if (tensor.number === 2) value.hasShape = true;
        }
      }
    }
    return value;
  }

  #text({ start, end }: Field): string {
    return this.#bytes.toString('utf8', start, end);
  }

  *#each({ start, end }: Pick<Field, 'start' | 'end'>): Generator<Field> {
    let at = start;
    while (at < end) {
      this.#fields += 1;
      if (this.#fields > FIELDS_MAX) throw new GraphLimitError('it has too many parts to be examined');
      this.#at = at;
      const tag = this.#varint();
      const field: Field = { number: Math.floor(tag / 8), value: 0, start: 0, end: 0 };
      const wire = tag % 8;
      if (wire === 0) {
        field.value = this.#varint();
        at = this.#at;
      } else if (wire === 1) at = this.#at + 8;
      else if (wire === 5) at = this.#at + 4;
      else if (wire === 2) {
        const length = this.#varint();
        field.start = this.#at;
        field.end = this.#at + length;
        at = field.end;
      } else throw new RangeError('it is not an ONNX file (protobuf)');
      if (at > end) throw new RangeError('it ends too early');
      yield field;
    }
  }

  /** A signed 64-bit integer at `#at`; exact up to 2^53 in both directions. */
  #varint(): number {
    // Apart, so that a small negative number stays exact: 28 bits and the 35 above them.
    let low = 0;
    let high = 0;
    for (let length = 0; length < 10; length += 1) {
      const byte = this.#bytes[this.#at++];
      if (byte === undefined) break;
      if (length === 9) return (high - (byte & 1) * 2 ** 35) * 2 ** 28 + low;
      if (length < 4) low += (byte & 0x7f) * 128 ** length;
      else high += (byte & 0x7f) * 128 ** (length - 4);
      if (byte < 0x80) return high * 2 ** 28 + low;
    }
    throw new RangeError('it ends too early');
  }
}

const nameOf = (domain: string, name: string): string =>
  domain === '' || domain === 'ai.onnx' ? name : `${domain}.${name}`;

/** TensorProto.DataType of integers and booleans → bytes of an element. */
const INTEGER_TYPES = new Map([
  [2, 1],
  [3, 1],
  [4, 2],
  [5, 2],
  [6, 4],
  [7, 8],
  [9, 1],
]);

const KINDS: Readonly<Record<number, OnnxValue['kind']>> = {
  1: 'tensor',
  4: 'sequence',
  5: 'map',
  8: 'sparse tensor',
  9: 'optional',
};
