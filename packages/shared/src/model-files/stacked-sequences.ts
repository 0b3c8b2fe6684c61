/**
 * Replaces, in memory, each output of a model that is a sequence of tensors, because onnxruntime-node cannot return a sequence. The
 * operator ConcatFromSequence stacks the tensors along a new first dimension. A run whose tensors have different shapes fails.
 */
import { delimited, fieldsOf, varintField } from './protobuf-bytes.ts';

/** Field numbers of onnx.proto3. */
const MODEL_GRAPH = 7;
const GRAPH = { node: 1, output: 12 } as const;
const NODE = { input: 1, output: 2, operator: 4, attribute: 5 } as const;
const VALUE = { name: 1, type: 2 } as const;
const TYPE = { tensor: 1, sequence: 4 } as const;
const ELEMENT_TYPE = 1;
const INT_ATTRIBUTE = 2;

/** Returns an unchanged model without such an output, and also an unreadable model, so that onnxruntime reports the fault. */
export function withStackedSequences(model: Buffer): Buffer {
  try {
    let isChanged = false;
    const parts = [...fieldsOf(model)].map(({ number, content, whole }) => {
      const graph = number === MODEL_GRAPH ? graphWith(content) : undefined;
      if (graph === undefined) return whole;
      isChanged = true;
      return delimited(MODEL_GRAPH, graph);
    });
    return isChanged ? Buffer.concat(parts) : model;
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    return model;
  }
}

/** Returns the changed graph. Undefined for a graph without such an output. */
function graphWith(graph: Buffer): Buffer | undefined {
  const fields = [...fieldsOf(graph)];
  const elementTypes = new Map<string, number>();
  for (const { number, content } of fields) {
    const elementType = number === GRAPH.output ? sequenceOf(content) : undefined;
    const name = elementType === undefined ? '' : textOf(content, VALUE.name);
    // Another operator, or a graph inside an operator, can read the sequence by its name.
    if (elementType !== undefined && !isRead(graph, name)) elementTypes.set(name, elementType);
  }
  if (elementTypes.size === 0) return undefined;
  const made = new Set<string>();
  const parts = fields.map(({ number, content, whole }) => {
    if (number !== GRAPH.node) return whole;
    const renamed = withRenamedOutputs(content, elementTypes, made);
    return renamed === undefined ? whole : delimited(GRAPH.node, renamed);
  });
  if (made.size === 0) return undefined;
  const stacked = fields.map(({ number, content }, at) => {
    const name = number === GRAPH.output ? textOf(content, VALUE.name) : '';
    const isMade = number === GRAPH.output && made.has(name);
    return isMade ? delimited(GRAPH.output, tensorValue(name, elementTypes.get(name) ?? 0)) : (parts[at] as Buffer);
  });
  return Buffer.concat([...stacked, ...[...made].map((name) => delimited(GRAPH.node, stackNode(name)))]);
}

const sequenceName = (name: string): string => `${name}/sequence`;

/** The element type of the tensors of an output that is a sequence of tensors. */
function sequenceOf(value: Buffer): number | undefined {
  const inside = (bytes: Buffer, wanted: number) =>
    [...fieldsOf(bytes)].find(({ number }) => number === wanted)?.content;
  let at: Buffer | undefined = value;
  for (const step of [VALUE.type, TYPE.sequence, 1, TYPE.tensor]) at = at && inside(at, step);
  return at && Number([...fieldsOf(at)].find(({ number }) => number === ELEMENT_TYPE)?.value ?? 0);
}

const textOf = (message: Buffer, wanted: number): string =>
  [...fieldsOf(message)].find(({ number }) => number === wanted)?.content.toString() ?? '';

/** Whether an operator may read the name. The search compares bytes and not fields, so the result can be true for an unread name. */
function isRead(graph: Buffer, name: string): boolean {
  const pattern = delimited(NODE.input, Buffer.from(name));
  const first = graph.indexOf(pattern);
  return first < 0 || graph.indexOf(pattern, first + 1) >= 0;
}

/** The node with other names for the outputs in `wanted`, which are added to `made`. Undefined for a node without such an output. */
function withRenamedOutputs(node: Buffer, wanted: ReadonlyMap<string, number>, made: Set<string>): Buffer | undefined {
  let isRenamed = false;
  const parts = [...fieldsOf(node)].map(({ number, content, whole }) => {
    const name = number === NODE.output ? content.toString() : undefined;
    if (name === undefined || !wanted.has(name)) return whole;
    isRenamed = true;
    made.add(name);
    return delimited(NODE.output, Buffer.from(sequenceName(name)));
  });
  return isRenamed ? Buffer.concat(parts) : undefined;
}

function stackNode(name: string): Buffer {
  return Buffer.concat([
    delimited(NODE.input, Buffer.from(sequenceName(name))),
    delimited(NODE.output, Buffer.from(name)),
    delimited(NODE.operator, Buffer.from('ConcatFromSequence')),
    delimited(NODE.attribute, intAttribute('axis', 0)),
    delimited(NODE.attribute, intAttribute('new_axis', 1)),
  ]);
}

const intAttribute = (name: string, value: number): Buffer =>
  Buffer.concat([delimited(1, Buffer.from(name)), varintField(3, value), varintField(20, INT_ATTRIBUTE)]);

/** The declaration of an output that is a tensor of any rank. */
const tensorValue = (name: string, elementType: number): Buffer =>
  Buffer.concat([
    delimited(VALUE.name, Buffer.from(name)),
    delimited(VALUE.type, delimited(TYPE.tensor, varintField(ELEMENT_TYPE, elementType))),
  ]);
