/** Finds operators that draw random numbers, also in branches, loops and functions. */
import type { Graph, GraphNode, OnnxModel } from './onnx-graph.ts';

/** With a `seed` as well: onnxruntime draws the next numbers of the sequence at each run. */
const RANDOM = new Set([
  'RandomNormal',
  'RandomNormalLike',
  'RandomUniform',
  'RandomUniformLike',
  'Multinomial',
  'Bernoulli',
  'com.microsoft.Sampling',
  'com.microsoft.RandomNormal',
  'com.microsoft.RandomUniform',
]);

/** Operators that draw random numbers in training mode, which an input says, by the place of this input. */
const TRAINING_INPUT: Readonly<Record<string, number>> = {
  Dropout: 2,
  'com.microsoft.BitmaskDropout': 2,
  'com.microsoft.BiasDropout': 4,
  'com.microsoft.BitmaskBiasDropout': 4,
};

/** The operator, in words. Undefined when there is none. */
export function findRandomOperator({ graph, functions, opset }: OnnxModel): string | undefined {
  const modern = opset >= 12;
  for (const { nodes } of functions.values()) {
    // The mode may be a parameter of the function.
    const found = inNodes(nodes, new Map(), modern);
    if (found !== undefined) return found;
  }
  return inGraph(graph, new Map(), modern);
}

/** Known booleans by name; null for a value that is not constant. */
type Flags = ReadonlyMap<string, boolean | null>;

function inGraph(graph: Graph, outer: Flags, modern: boolean): string | undefined {
  const flags = new Map(outer);
  for (const [name, { values }] of graph.constants) if (values?.length === 1) flags.set(name, values[0] !== 0);
  // An initializer that is an input too can be fed by the caller.
  for (const name of graph.inputs) flags.set(name, null);
  return inNodes(graph.nodes, flags, modern);
}

function inNodes(nodes: readonly GraphNode[], outer: Flags, modern: boolean): string | undefined {
  const flags = new Map(outer);
  for (const { op, inputs, outputs, attributes } of nodes) {
    if (RANDOM.has(op)) return op;
    const place = TRAINING_INPUT[op];
    const mode = place === undefined ? '' : (inputs[place] ?? '');
    if (mode !== '' && (modern || op !== 'Dropout') && flags.get(mode) !== false) return `${op} in training mode`;
    const value = op === 'Constant' ? constantFlag(attributes) : null;
    for (const output of outputs) flags.set(output, value);
    if (op === 'Identity' && inputs[0] !== undefined && outputs[0] !== undefined)
      flags.set(outputs[0], flags.get(inputs[0]) ?? null);
    for (const { graphs } of attributes.values())
      for (const graph of graphs) {
        const found = inGraph(graph, flags, modern);
        if (found !== undefined) return found;
      }
  }
  return undefined;
}

function constantFlag(attributes: GraphNode['attributes']): boolean | null {
  const values = attributes.get('value')?.constant?.values;
  if (values?.length === 1) return values[0] !== 0;
  const int = attributes.get('value_int')?.int;
  return int === undefined ? null : int !== 0;
}
