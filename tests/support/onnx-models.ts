/** Models with a known output or a known failure. */

import type { Dtype } from '@millrace/shared/tensors/tensor';
import { randomFrom } from '../../apps/worker/src/engine/child/random-input.ts';
import { floats, longs, onnxModel } from './onnx-builder.ts';

/** y = x, of any type and shape. */
export function identity(dtype: Dtype, shape: readonly (number | string)[] | undefined): Buffer {
  return onnxModel({
    nodes: [{ op: 'Identity', inputs: ['x'], outputs: ['y'] }],
    inputs: [{ name: 'x', dtype, shape }],
    outputs: [{ name: 'y', dtype, shape }],
  });
}

/** y = relu(x · [[1, -1], [2, -2]]) for x of float32[n, 2]. */
export function perceptron(): Buffer {
  return onnxModel({
    nodes: [
      { op: 'MatMul', inputs: ['x', 'w'], outputs: ['h'] },
      { op: 'Relu', inputs: ['h'], outputs: ['y'] },
    ],
    inputs: [{ name: 'x', dtype: 'float32', shape: ['n', 2] }],
    outputs: [{ name: 'y', dtype: 'float32', shape: ['n', 2] }],
    initializers: [{ name: 'w', dtype: 'float32', dims: [2, 2], data: floats(1, -1, 2, -2) }],
  });
}

/** y = table[x]. Fails for an index outside the table's 4 rows. */
export function lookup(): Buffer {
  return onnxModel({
    nodes: [{ op: 'Gather', inputs: ['table', 'x'], outputs: ['y'] }],
    inputs: [{ name: 'x', dtype: 'int64', shape: ['n'] }],
    outputs: [{ name: 'y', dtype: 'float32', shape: ['n'] }],
    initializers: [{ name: 'table', dtype: 'float32', dims: [4], data: floats(10, 11, 12, 13) }],
  });
}

/** y = x, after as many iterations of an empty loop as the largest x. A row of 1e15 never ends. */
export function spinner(): Buffer {
  return onnxModel({
    nodes: [
      { op: 'ReduceMax', inputs: ['x'], outputs: ['turns'], attributes: { keepdims: 0 } },
      {
        op: 'Loop',
        inputs: ['turns', 'yes', 'zero'],
        outputs: ['sum'],
        attributes: {
          body: {
            nodes: [
              { op: 'Identity', inputs: ['go'], outputs: ['goNext'] },
              { op: 'Add', inputs: ['before', 'one'], outputs: ['after'] },
            ],
            inputs: [
              { name: 'turn', dtype: 'int64', shape: [] },
              { name: 'go', dtype: 'bool', shape: [] },
              { name: 'before', dtype: 'int64', shape: [] },
            ],
            outputs: [
              { name: 'goNext', dtype: 'bool', shape: [] },
              { name: 'after', dtype: 'int64', shape: [] },
            ],
          },
        },
      },
      { op: 'Mul', inputs: ['sum', 'zero'], outputs: ['nothing'] },
      { op: 'Add', inputs: ['x', 'nothing'], outputs: ['y'] },
    ],
    inputs: [{ name: 'x', dtype: 'int64', shape: ['n'] }],
    outputs: [{ name: 'y', dtype: 'int64', shape: ['n'] }],
    initializers: [
      { name: 'yes', dtype: 'bool', dims: [], data: Uint8Array.of(1) },
      { name: 'zero', dtype: 'int64', dims: [], data: longs(0) },
      { name: 'one', dtype: 'int64', dims: [], data: longs(1) },
    ],
  });
}

/** A few bytes that allocate `elements` int64 values when the file is loaded. */
export function rangeBomb(elements: number): Buffer {
  return onnxModel({
    nodes: [
      { op: 'Range', inputs: ['zero', 'many', 'one'], outputs: ['all'] },
      { op: 'ReduceSum', inputs: ['all'], outputs: ['sum'], attributes: { keepdims: 0 } },
      { op: 'Add', inputs: ['x', 'sum'], outputs: ['y'] },
    ],
    inputs: [{ name: 'x', dtype: 'int64', shape: ['n'] }],
    outputs: [{ name: 'y', dtype: 'int64', shape: ['n'] }],
    initializers: [
      { name: 'zero', dtype: 'int64', dims: [], data: longs(0) },
      { name: 'one', dtype: 'int64', dims: [], data: longs(1) },
      { name: 'many', dtype: 'int64', dims: [], data: longs(elements) },
    ],
  });
}

/** y = 0..max(x), 8 bytes each. A row can request more memory than the machine has. */
export function memoryHog(): Buffer {
  return onnxModel({
    nodes: [
      { op: 'ReduceMax', inputs: ['x'], outputs: ['many'], attributes: { keepdims: 0 } },
      { op: 'Range', inputs: ['zero', 'many', 'one'], outputs: ['all'] },
      { op: 'ReduceMax', inputs: ['all'], outputs: ['last'], attributes: { keepdims: 0 } },
      { op: 'Mul', inputs: ['last', 'zero'], outputs: ['nothing'] },
      { op: 'Add', inputs: ['x', 'nothing'], outputs: ['y'] },
    ],
    inputs: [{ name: 'x', dtype: 'int64', shape: ['n'] }],
    outputs: [{ name: 'y', dtype: 'int64', shape: ['n'] }],
    initializers: [
      { name: 'zero', dtype: 'int64', dims: [], data: longs(0) },
      { name: 'one', dtype: 'int64', dims: [], data: longs(1) },
    ],
  });
}

/** A recurrent cell whose batch is the second dimension of its state: state' = state + x, y = sum over the state. */
export function recurrent(): Buffer {
  return onnxModel({
    nodes: [
      { op: 'Add', inputs: ['state', 'x'], outputs: ['next'] },
      { op: 'ReduceSum', inputs: ['next', 'axes'], outputs: ['y'], attributes: { keepdims: 0 } },
    ],
    inputs: [
      { name: 'x', dtype: 'float32', shape: ['n', 4] },
      { name: 'state', dtype: 'float32', shape: [2, 'n', 4] },
    ],
    outputs: [
      { name: 'y', dtype: 'float32', shape: ['n', 4] },
      { name: 'next', dtype: 'float32', shape: [2, 'n', 4] },
    ],
    initializers: [{ name: 'axes', dtype: 'int64', dims: [1], data: longs(0) }],
  });
}

/** y = x - mean over the batch. The shapes suggest independent rows, but the rows depend on each other. */
export function centered(): Buffer {
  return onnxModel({
    nodes: [
      { op: 'ReduceMean', inputs: ['x'], outputs: ['mean'], attributes: { axes: [0], keepdims: 1 } },
      { op: 'Sub', inputs: ['x', 'mean'], outputs: ['y'] },
    ],
    inputs: [{ name: 'x', dtype: 'float32', shape: ['n', 3] }],
    outputs: [{ name: 'y', dtype: 'float32', shape: ['n', 3] }],
  });
}

/** y = the single number of each row of x, `width` times: a small input with a large output. */
export function repeater(width: number): Buffer {
  return onnxModel({
    nodes: [{ op: 'Expand', inputs: ['x', 'shape'], outputs: ['y'] }],
    inputs: [{ name: 'x', dtype: 'float32', shape: ['n', 1] }],
    outputs: [{ name: 'y', dtype: 'float32', shape: ['n', width] }],
    initializers: [{ name: 'shape', dtype: 'int64', dims: [2], data: longs(1, width) }],
  });
}

/** y = the single number of each row of x, times another number for each of `width` columns: an output that hardly compresses. */
export function scatter(width: number): Buffer {
  const numbers = randomFrom(width);
  return onnxModel({
    nodes: [{ op: 'Mul', inputs: ['x', 'factors'], outputs: ['y'] }],
    inputs: [{ name: 'x', dtype: 'float32', shape: ['n', 1] }],
    outputs: [{ name: 'y', dtype: 'float32', shape: ['n', width] }],
    initializers: [
      {
        name: 'factors',
        dtype: 'float32',
        dims: [1, width],
        data: new Uint8Array(Float32Array.from({ length: width }, numbers).buffer),
      },
    ],
  });
}

/** y = the largest number of each matrix of x: a large input with a small output. */
export function peak(rows: number, columns: number): Buffer {
  return onnxModel({
    nodes: [{ op: 'ReduceMax', inputs: ['x'], outputs: ['y'], attributes: { axes: [1, 2], keepdims: 0 } }],
    inputs: [{ name: 'x', dtype: 'float32', shape: ['n', rows, columns] }],
    outputs: [{ name: 'y', dtype: 'float32', shape: ['n'] }],
  });
}

/** x · w, with x quantized by the range of the whole batch: a large row makes the other rows coarse. */
export function dynamicallyQuantized(): Buffer {
  return onnxModel({
    nodes: [
      { op: 'DynamicQuantizeLinear', inputs: ['x'], outputs: ['q', 'scale', 'zero'] },
      { op: 'MatMulInteger', inputs: ['q', 'w', 'zero'], outputs: ['sums'] },
      { op: 'Cast', inputs: ['sums'], outputs: ['floats'], attributes: { to: 1 } },
      { op: 'Mul', inputs: ['floats', 'scale'], outputs: ['y'] },
    ],
    inputs: [{ name: 'x', dtype: 'float32', shape: ['n', 2] }],
    outputs: [{ name: 'y', dtype: 'float32', shape: ['n', 2] }],
    initializers: [{ name: 'w', dtype: 'uint8', dims: [2, 2], data: Uint8Array.of(1, 2, 3, 4) }],
  });
}

/** y = x + max(first row of the batch - `above`, 0): rows influence each other through integers above `above`. */
export function coupledAbove(above: number): Buffer {
  return onnxModel({
    nodes: [
      { op: 'Gather', inputs: ['x', 'first'], outputs: ['row'] },
      { op: 'Sub', inputs: ['row', 'above'], outputs: ['beyond'] },
      { op: 'Max', inputs: ['beyond', 'none'], outputs: ['more'] },
      { op: 'Add', inputs: ['x', 'more'], outputs: ['y'] },
    ],
    inputs: [{ name: 'x', dtype: 'int64', shape: ['n', 2] }],
    outputs: [{ name: 'y', dtype: 'int64', shape: ['n', 2] }],
    initializers: [
      { name: 'first', dtype: 'int64', dims: [], data: longs(0) },
      { name: 'above', dtype: 'int64', dims: [], data: longs(above) },
      { name: 'none', dtype: 'int64', dims: [], data: longs(0) },
    ],
  });
}

/** Sums of embeddings of `words` tokens and of 2 types. Integers outside the tables fail. */
export function embedding(words: number): Buffer {
  const table = (name: string, rows: number) => ({
    name,
    dtype: 'float32' as const,
    dims: [rows, 3],
    data: floats(...Array.from({ length: rows * 3 }, (_, i) => i)),
  });
  return onnxModel({
    nodes: [
      { op: 'Gather', inputs: ['words', 'ids'], outputs: ['a'] },
      { op: 'Gather', inputs: ['types', 'type_ids'], outputs: ['b'] },
      { op: 'Add', inputs: ['a', 'b'], outputs: ['c'] },
      { op: 'ReduceMean', inputs: ['c'], outputs: ['y'], attributes: { axes: [1], keepdims: 0 } },
    ],
    inputs: [
      { name: 'ids', dtype: 'int64', shape: ['n', 's'] },
      { name: 'type_ids', dtype: 'int64', shape: ['n', 's'] },
    ],
    outputs: [{ name: 'y', dtype: 'float32', shape: ['n', 3] }],
    initializers: [table('words', words), table('types', 2)],
  });
}

/** y = x + noise that changes at each run. `where` is the place of the operator. */
export function dice(where: 'graph' | 'branch' | 'loop' | 'function' = 'graph'): Buffer {
  const draw = (from: string, to: string) => ({ op: 'RandomNormalLike', inputs: [from], outputs: [to] });
  const value = (name: string) => ({ name, dtype: 'float32' as const, shape: ['n', 2] });
  const inputs = [value('x')];
  const outputs = [value('y')];
  const add = { op: 'Add', inputs: ['x', 'noise'], outputs: ['y'] };
  if (where === 'graph') return onnxModel({ nodes: [draw('x', 'noise'), add], inputs, outputs });
  if (where === 'function') {
    const own = { name: 'Noise', inputs: ['a'], outputs: ['b'], nodes: [draw('a', 'b')] };
    const call = { op: 'Noise', domain: 'local', inputs: ['x'], outputs: ['noise'] };
    return onnxModel({ nodes: [call, add], inputs, outputs }, { functions: [own] });
  }
  if (where === 'branch') {
    const branch = { nodes: [draw('x', 'z')], inputs: [], outputs: [value('z')] };
    const choice = { then_branch: branch, else_branch: branch };
    return onnxModel({
      nodes: [{ op: 'If', inputs: ['yes'], outputs: ['noise'], attributes: choice }, add],
      inputs,
      outputs,
      initializers: [{ name: 'yes', dtype: 'bool', dims: [], data: Uint8Array.of(1) }],
    });
  }
  const body = {
    nodes: [
      { op: 'Identity', inputs: ['go'], outputs: ['goNext'] },
      draw('before', 'drawn'),
      { op: 'Add', inputs: ['before', 'drawn'], outputs: ['after'] },
    ],
    inputs: [
      { name: 'turn', dtype: 'int64' as const, shape: [] },
      { name: 'go', dtype: 'bool' as const, shape: [] },
      value('before'),
    ],
    outputs: [{ name: 'goNext', dtype: 'bool' as const, shape: [] }, value('after')],
  };
  return onnxModel({
    nodes: [{ op: 'Loop', inputs: ['turns', 'yes', 'x'], outputs: ['y'], attributes: { body } }],
    inputs,
    outputs,
    initializers: [
      { name: 'yes', dtype: 'bool', dims: [], data: Uint8Array.of(1) },
      { name: 'turns', dtype: 'int64', dims: [], data: longs(2) },
    ],
  });
}

/** Dropout of half the elements, with or without training mode. */
export function dropout(training: boolean): Buffer {
  return onnxModel({
    nodes: [{ op: 'Dropout', inputs: ['x', 'ratio', 'training'], outputs: ['y'] }],
    inputs: [{ name: 'x', dtype: 'float32', shape: ['n', 64] }],
    outputs: [{ name: 'y', dtype: 'float32', shape: ['n', 64] }],
    initializers: [
      { name: 'ratio', dtype: 'float32', dims: [], data: floats(0.5) },
      { name: 'training', dtype: 'bool', dims: [], data: Uint8Array.of(Number(training)) },
    ],
  });
}

/** y = x + w for x of float32[n, 2]. The weights w are two floats in the file `location`. */
export const addsFromFile = (location: string): Buffer =>
  onnxModel({
    nodes: [{ op: 'Add', inputs: ['x', 'w'], outputs: ['y'] }],
    inputs: [{ name: 'x', dtype: 'float32', shape: ['n', 2] }],
    outputs: [{ name: 'y', dtype: 'float32', shape: ['n', 2] }],
    initializers: [{ name: 'w', dtype: 'float32', dims: [2], data: { location } }],
  });

/**
 * A classifier of two floats into three classes by `trees` trees of one branch, as random forests are exported. `labelDims` are the
 * declared dimensions of the label.
 */
export function forest(trees: number, labelDims: readonly (number | string)[] = ['n']): Buffer {
  const numbers = randomFrom(trees);
  const each = <T>(make: (tree: number) => T[]): T[] => Array.from({ length: trees }, (_, tree) => make(tree)).flat();
  const leaves = (tree: number) => [1, 2].flatMap((node) => [0, 1, 2].map((label) => ({ tree, node, label })));
  const votes = each(leaves);
  return onnxModel({
    nodes: [
      {
        op: 'TreeEnsembleClassifier',
        domain: 'ai.onnx.ml',
        inputs: ['x'],
        outputs: ['label', 'probabilities'],
        attributes: {
          nodes_treeids: each((tree) => [tree, tree, tree]),
          nodes_nodeids: each(() => [0, 1, 2]),
          nodes_featureids: each((tree) => [tree % 2, 0, 0]),
          nodes_values: { floats: each(() => [Math.round(numbers() * 10), 0, 0]) },
          nodes_modes: each(() => ['BRANCH_LEQ', 'LEAF', 'LEAF']),
          nodes_truenodeids: each(() => [1, 0, 0]),
          nodes_falsenodeids: each(() => [2, 0, 0]),
          class_treeids: votes.map(({ tree }) => tree),
          class_nodeids: votes.map(({ node }) => node),
          class_ids: votes.map(({ label }) => label),
          class_weights: { floats: votes.map(() => numbers() / trees) },
          classlabels_int64s: [0, 1, 2],
          post_transform: 'NONE',
        },
      },
    ],
    inputs: [{ name: 'x', dtype: 'float32', shape: ['n', 2] }],
    outputs: [
      { name: 'label', dtype: 'int64', shape: labelDims },
      { name: 'probabilities', dtype: 'float32', shape: ['n', 3] },
    ],
  });
}
