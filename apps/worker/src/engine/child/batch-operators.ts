/**
 * Follows the rows through the graph to find operators that make the rows of a batch influence each other, and the range of integer
 * inputs. After a finding the rows are dependent unless model.json declares otherwise. Without a finding, row-trial.ts decides.
 */
import type { TensorSpec } from '@millrace/shared/tensors/tensor';
import type { BatchFindings } from '../protocol/probe-request.ts';
import { coupling } from './coupling-rules.ts';
import type { Attribute, Constant, Graph, GraphNode, OnnxModel } from './onnx-graph.ts';
import type { Flow, Place } from './row-flow.ts';

export function findBatchOperators(model: OnnxModel, inputs: readonly TensorSpec[]): BatchFindings {
  const follower = new Follower(model);
  const scope = new Scope(undefined);
  for (const { name, shape } of inputs) scope.flows.set(name, { axis: 0, rank: shape.length, source: name });
  follower.graph(model.graph, scope, 0);
  const rowOutputs = model.graph.outputs.filter((name) => scope.flow(name)?.axis === 0);
  return { coupled: follower.coupled, vocabulary: Object.fromEntries(follower.vocabulary), rowOutputs };
}

/** Where the walk through the graph is. */
interface Level {
  scope: Scope;
  depth: number;
}

class Scope {
  readonly flows = new Map<string, Flow>();
  readonly constants = new Map<string, Constant>();
  readonly #outer: Scope | undefined;
  constructor(outer: Scope | undefined) {
    this.#outer = outer;
  }
  flow(name: string): Flow | undefined {
    return this.flows.get(name) ?? this.#outer?.flow(name);
  }
  constant(name: string): Constant | undefined {
    return this.constants.get(name) ?? this.#outer?.constant(name);
  }
}

const DEPTH_MAX = 32;

class Follower {
  readonly #model: OnnxModel;
  readonly vocabulary = new Map<string, number>();
  coupled: string | undefined;

  constructor(model: OnnxModel) {
    this.#model = model;
  }

  graph(graph: Graph, scope: Scope, depth: number): void {
    for (const [name, constant] of graph.constants) scope.constants.set(name, constant);
    this.#nodes(graph.nodes, scope, depth);
  }

  #nodes(nodes: readonly GraphNode[], scope: Scope, depth: number): void {
    if (depth > DEPTH_MAX) {
      this.coupled ??= 'its graphs nest too deep to be examined';
      return;
    }
    for (const node of nodes) {
      if (this.coupled !== undefined) return;
      this.#node(node, scope, depth);
    }
  }

  #node(node: GraphNode, scope: Scope, depth: number): void {
    const { op, inputs, outputs, attributes } = node;
    const flows = inputs.map((name) => scope.flow(name));
    const constants = inputs.map((name) => scope.constant(name));
    const place: Place = { node, flows, constants, opset: this.#model.opset };
    if (op === 'Constant') {
      const constant = constantOf(attributes);
      if (constant !== undefined && outputs[0] !== undefined) scope.constants.set(outputs[0], constant);
      return;
    }
    const called = this.#model.functions.get(op);
    if (called !== undefined) {
      this.#call(called, place, { scope, depth });
      return;
    }
    // A shape depends on the number of rows and not on their contents.
    if (op === 'Shape' || op === 'Size') return;
    const depends = flows.some((flow) => flow !== undefined);
    if (depends) this.coupled ??= coupling(place);
    const inner = [...attributes.values()].flatMap(({ graphs }) => graphs);
    for (const graph of inner) this.#inner(graph, place, { scope, depth });
    const captures = inner.length > 0 && captured(inner, scope);
    if (!depends && !captures) return;
    this.#noteVocabulary(place);
    const flow = depends ? flowThrough(place) : { axis: undefined, rank: undefined, source: undefined };
    outputs.forEach((name, at) => {
      scope.flows.set(name, outputFlow({ op, attributes }, flow, at));
    });
  }

  #call(
    { nodes, inputs, outputs }: { nodes: readonly GraphNode[]; inputs: readonly string[]; outputs: readonly string[] },
    { node, flows, constants }: Place,
    { scope, depth }: Level,
  ): void {
    // The nodes of a function can only use its parameters.
    const own = new Scope(undefined);
    inputs.forEach((name, at) => {
      const flow = flows[at];
      const constant = constants[at];
      if (flow !== undefined) own.flows.set(name, flow);
      if (constant !== undefined) own.constants.set(name, constant);
    });
    this.#nodes(nodes, own, depth + 1);
    outputs.forEach((name, at) => {
      const flow = own.flow(name);
      const output = node.outputs[at];
      if (flow !== undefined && output !== undefined) scope.flows.set(output, flow);
    });
  }

  /** The body of an If, Loop or Scan: its parameters are taken to be as the node's last inputs. */
  #inner(graph: Graph, { flows, constants }: Place, { scope, depth }: Level): void {
    const own = new Scope(scope);
    const shift = Math.max(0, flows.length - graph.inputs.length);
    graph.inputs.forEach((name, at) => {
      const flow = flows[at + shift];
      const constant = constants[at + shift];
      if (flow !== undefined) own.flows.set(name, { ...flow, source: undefined });
      else if (constant !== undefined && constant.values === undefined) own.constants.set(name, constant);
    });
    this.graph(graph, own, depth + 1);
  }

  #noteVocabulary({ node: { op, attributes }, flows, constants }: Place): void {
    const note = (flow: Flow | undefined, size: number | undefined) => {
      if (flow?.source === undefined || size === undefined || size < 1) return;
      this.vocabulary.set(flow.source, Math.min(size, this.vocabulary.get(flow.source) ?? size));
    };
    if (op === 'Gather' && constants[0] !== undefined) {
      const axis = attributes.get('axis')?.int ?? 0;
      note(flows[1], constants[0].dims.at(axis));
    } else if (op === 'OneHot') note(flows[0], constants[1]?.values?.[0]);
    else if (op === 'com.microsoft.EmbedLayerNormalization') {
      note(flows[0], constants[2]?.dims[0]);
      note(flows[1], constants[4]?.dims[0]);
    }
  }
}

/** Whether the nodes of some graphs name a tensor outside that depends on the rows. */
function captured(graphs: readonly Graph[], scope: Scope): boolean {
  return graphs.some(({ nodes, outputs }) =>
    [...nodes.flatMap(({ inputs }) => inputs), ...outputs].some((name) => scope.flow(name) !== undefined),
  );
}

function constantOf(attributes: ReadonlyMap<string, Attribute>): Constant | undefined {
  const value = attributes.get('value')?.constant;
  if (value !== undefined) return value;
  const int = attributes.get('value_int')?.int;
  if (int !== undefined) return { dims: [], values: [int] };
  const ints = attributes.get('value_ints')?.ints;
  return ints === undefined ? undefined : { dims: [ints.length], values: ints };
}

/** Operators whose output has the elements of their first input, in another form or type. */
const SAME_ELEMENTS = new Set(['Identity', 'Cast', 'Reshape', 'Squeeze', 'Unsqueeze', 'Flatten', 'Transpose', 'Slice']);
/** Operators whose output has the rank of their first input. */
const SAME_RANK = new Set([
  ...[
    'Identity',
    'Cast',
    'Relu',
    'Sigmoid',
    'Tanh',
    'Softmax',
    'LogSoftmax',
    'Exp',
    'Log',
    'Sqrt',
    'Erf',
    'Neg',
    'Abs',
  ],
  ...['LeakyRelu', 'Gelu', 'Clip', 'Slice', 'Pad', 'Conv', 'MaxPool', 'AveragePool', 'GlobalAveragePool', 'Dropout'],
  ...[
    'BatchNormalization',
    'LayerNormalization',
    'InstanceNormalization',
    'Gemm',
    'CumSum',
    'TopK',
    'Concat',
    'Expand',
  ],
  ...[
    'QuantizeLinear',
    'DequantizeLinear',
    'Not',
    'Floor',
    'Ceil',
    'Round',
    'Sign',
    'Pow',
    'HardSigmoid',
    'Elu',
    'Selu',
  ],
]);
const ELEMENTWISE = new Set([
  'Add',
  'Sub',
  'Mul',
  'Div',
  'Where',
  'Min',
  'Max',
  'Equal',
  'Greater',
  'Less',
  'And',
  'Or',
  'Mod',
]);

/** Where the rows lie in the first output of a node. */
function flowThrough({ node: { op, attributes }, flows, constants }: Place): Flow {
  const at = flows.findIndex((flow) => flow !== undefined);
  const { axis, rank, source } = flows[at] as Flow;
  const kept = SAME_ELEMENTS.has(op) ? source : undefined;
  const ints = (name: string, input: number) => attributes.get(name)?.ints ?? constants[input]?.values;
  if (op === 'Transpose') {
    const perm = attributes.get('perm')?.ints ?? (rank === undefined ? undefined : [...Array(rank).keys()].reverse());
    const found = axis === undefined ? -1 : (perm?.indexOf(axis) ?? -1);
    return { axis: found < 0 ? undefined : found, rank, source: kept };
  }
  if (op === 'Reshape') return { axis: axis === 0 ? 0 : undefined, rank: constants[1]?.values?.length, source: kept };
  if (op === 'Flatten')
    return { axis: axis === 0 && attributes.get('axis')?.int !== 0 ? 0 : undefined, rank: 2, source: kept };
  if (op === 'Unsqueeze' || op === 'Squeeze' || op.startsWith('Reduce')) {
    const keeps = op.startsWith('Reduce') && attributes.get('keepdims')?.int !== 0;
    if (keeps) return { axis, rank, source: kept };
    return { ...moved({ axis, rank, grows: op === 'Unsqueeze' }, ints('axes', 1)), source: kept };
  }
  if (op === 'Gather') {
    const along = attributes.get('axis')?.int ?? 0;
    const [table, indices] = [constants[0]?.dims.length ?? flows[0]?.rank, constants[1]?.dims.length ?? flows[1]?.rank];
    const out = table === undefined || indices === undefined ? undefined : table + indices - 1;
    // Rows of a table, for each index; or, for each row, elements of the row.
    if (at === 1)
      return { axis: axis === undefined || along < 0 ? undefined : along + axis, rank: out, source: undefined };
    return { axis: axis !== undefined && along > axis ? axis : undefined, rank: out, source: undefined };
  }
  if (ELEMENTWISE.has(op)) {
    const ranks = flows.map((flow, n) => flow?.rank ?? constants[n]?.dims.length);
    const known = ranks.every((one) => one !== undefined);
    const most = known ? Math.max(...(ranks as number[])) : undefined;
    const places = flows.flatMap((flow) =>
      flow === undefined
        ? []
        : [
            flow.axis === undefined || flow.rank === undefined
              ? flow.axis
              : flow.axis + ((most ?? flow.rank) - flow.rank),
          ],
    );
    return { axis: places.every((one) => one === places[0]) ? places[0] : undefined, rank: most, source: undefined };
  }
  return { axis, rank: SAME_RANK.has(op) ? rank : undefined, source: kept };
}

/** After axes were removed or added. */
function moved(
  { axis, rank, grows }: { axis: number | undefined; rank: number | undefined; grows: boolean },
  axes: readonly number[] | undefined,
): Pick<Flow, 'axis' | 'rank'> {
  if (axes === undefined || axis === undefined) return { axis: undefined, rank: undefined };
  const out = rank === undefined ? undefined : grows ? rank + axes.length : rank - axes.length;
  const base = grows ? out : rank;
  if (axes.some((one) => one < 0) && base === undefined) return { axis: undefined, rank: out };
  const places = axes.map((one) => (one < 0 ? one + (base as number) : one)).sort((a, b) => a - b);
  if (!grows && places.includes(axis)) return { axis: undefined, rank: out };
  let at = axis;
  if (grows) for (const place of places) at += place <= at ? 1 : 0;
  else at -= places.filter((place) => place < axis).length;
  return { axis: at, rank: out };
}

/** Recurrent operators put their rows elsewhere in each output. */
function outputFlow({ op, attributes }: Pick<GraphNode, 'op' | 'attributes'>, flow: Flow, at: number): Flow {
  if (op !== 'RNN' && op !== 'LSTM' && op !== 'GRU') return at === 0 ? flow : { ...flow, source: undefined };
  const batchFirst = attributes.get('layout')?.int === 1;
  if (at === 0) return { axis: batchFirst ? 0 : 2, rank: 4, source: undefined };
  return { axis: batchFirst ? 0 : 1, rank: 3, source: undefined };
}
