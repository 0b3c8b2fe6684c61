/**
 * Replaces the ZipMap operators of a model in memory. The converters of scikit-learn, XGBoost and LightGBM write a ZipMap by default:
 * the operator turns the tensor of probabilities into a sequence of maps, which onnxruntime-node cannot return. Without the operator
 * the output has the name of the sequence and the tensor of probabilities, and the classes become labels.
 */

import { delimited, type Field, fieldsOf, isDelimited, packed, varintField } from './protobuf-bytes.ts';

/** A model whose outputs are tensors. */
export interface TensorModel {
  model: Buffer;
  /** The classes of each replaced output, in the order of its elements. */
  labels: Record<string, string[]>;
}

const OPERATOR = 'ZipMap';
const DOMAIN = 'ai.onnx.ml';
const CLASSES_MAX = 1_000_000;

/** Field numbers of onnx.proto3. */
const MODEL_GRAPH = 7;
const GRAPH = { node: 1, output: 12 } as const;
const NODE = { input: 1, output: 2, operator: 4, attribute: 5, domain: 7 } as const;
const ATTRIBUTE = { name: 1, ints: 8, strings: 9 } as const;
const VALUE_NAME = 1;

/** Returns the given model if it has no ZipMap, or if its bytes cannot be read: onnxruntime then reports the fault. */
export function withoutZipMaps(model: Buffer): TensorModel {
  if (!model.includes(OPERATOR)) return { model, labels: {} };
  const labels: Record<string, string[]> = {};
  try {
    const parts = [...fieldsOf(model)].map(({ number, content, whole }) =>
      number === MODEL_GRAPH ? delimited(MODEL_GRAPH, graphWithout(content, labels)) : whole,
    );
    return Object.keys(labels).length === 0 ? { model, labels } : { model: Buffer.concat(parts), labels };
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    return { model, labels: {} };
  }
}

function graphWithout(graph: Buffer, labels: Record<string, string[]>): Buffer {
  const fields = [...fieldsOf(graph)];
  const outputs = new Set(fields.filter(({ number }) => number === GRAPH.output).map(({ content }) => nameOf(content)));
  const parts = fields.map(({ number, content, whole }) => {
    const found = number === GRAPH.node ? zipMapOf(content) : undefined;
    // A ZipMap whose output another operator reads stays as it is.
    if (found === undefined || !outputs.has(found.output)) return whole;
    labels[found.output] = found.classes;
    return delimited(GRAPH.node, identity(found.input, found.output));
  });
  return Buffer.concat(
    parts.map((part, at) => {
      const { number, content } = fields[at] as Field;
      const classes = number === GRAPH.output ? labels[nameOf(content)] : undefined;
      return classes === undefined ? part : delimited(GRAPH.output, probabilities(nameOf(content), classes.length));
    }),
  );
}

interface ZipMap {
  input: string;
  output: string;
  classes: string[];
}

function zipMapOf(node: Buffer): ZipMap | undefined {
  const [inputs, outputs]: [string[], string[]] = [[], []];
  let classes: string[] = [];
  let [operator, domain] = ['', ''];
  for (const { number, content } of fieldsOf(node)) {
    if (number === NODE.input) inputs.push(content.toString());
    else if (number === NODE.output) outputs.push(content.toString());
    else if (number === NODE.operator) operator = content.toString();
    else if (number === NODE.domain) domain = content.toString();
    else if (number === NODE.attribute && operator === OPERATOR) classes = [...classes, ...classesOf(content)];
  }
  const [input, output] = [inputs[0], outputs[0]];
  if (operator !== OPERATOR || domain !== DOMAIN || input === undefined || output === undefined) return undefined;
  return classes.length > 0 ? { input, output, classes } : undefined;
}

/** The classes of the attribute `classlabels_strings` or `classlabels_int64s`. */
function classesOf(attribute: Buffer): string[] {
  const classes: string[] = [];
  for (const { number, value, content, whole } of fieldsOf(attribute)) {
    if (number === ATTRIBUTE.name && !content.toString().startsWith('classlabels_')) return [];
    if (number === ATTRIBUTE.strings) classes.push(content.toString());
    else if (number === ATTRIBUTE.ints && isDelimited(whole))
      for (const one of packed(content)) classes.push(String(one));
    else if (number === ATTRIBUTE.ints) classes.push(String(BigInt.asIntN(64, value)));
    if (classes.length > CLASSES_MAX) throw new RangeError('too many classes');
  }
  return classes;
}

const nameOf = (value: Buffer): string =>
  [...fieldsOf(value)].find(({ number }) => number === VALUE_NAME)?.content.toString() ?? '';

/** A node `Identity` of ONNX itself. */
const identity = (input: string, output: string): Buffer =>
  Buffer.concat([
    delimited(NODE.input, Buffer.from(input)),
    delimited(NODE.output, Buffer.from(output)),
    delimited(NODE.operator, Buffer.from('Identity')),
  ]);

/** The value of an output float32[?, classes]. */
function probabilities(name: string, classes: number): Buffer {
  const shape = Buffer.concat([delimited(1, Buffer.alloc(0)), delimited(1, varintField(1, classes))]);
  const tensor = Buffer.concat([varintField(1, 1), delimited(2, shape)]);
  return Buffer.concat([delimited(VALUE_NAME, Buffer.from(name)), delimited(2, delimited(1, tensor))]);
}
