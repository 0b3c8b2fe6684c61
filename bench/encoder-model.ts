/**
 * Writes a sentence encoder with the sizes of all-MiniLM-L6-v2, the encoder that people serve most: six layers, 384 wide, 12 heads. The
 * weights are random, so the embeddings have no meaning. The folder has the tokenizer of a tiny model of the tests, and the graph has the
 * operators that torch.onnx exports for BERT.
 */
import { cp, mkdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import {
  FLOAT,
  floatAttribute,
  graph,
  INT64,
  intAttribute,
  intsAttribute,
  model,
  node,
  tensor,
  value,
} from './onnx-writer.ts';

export interface EncoderSizes {
  layers: number;
  width: number;
  heads: number;
  /** The neurons between the two matrices of a layer. */
  inner: number;
}

export const MINI_LM: EncoderSizes = { layers: 6, width: 384, heads: 12, inner: 1_536 };

/** Writes `folder` as a copy of the Hugging Face folder `tiny` with an encoder of these sizes. */
export async function writeEncoder(folder: string, tiny: string, sizes: EncoderSizes): Promise<void> {
  await cp(tiny, folder, { recursive: true });
  const file = path.join(folder, 'config.json');
  const config: Record<string, unknown> = JSON.parse(await readFile(file, 'utf8'));
  const { layers, width, heads, inner } = sizes;
  const own = {
    num_hidden_layers: layers,
    hidden_size: width,
    num_attention_heads: heads,
    intermediate_size: inner,
  };
  await writeFile(file, JSON.stringify({ ...config, ...own }));
  const [words, positions] = [Number(config.vocab_size), Number(config.max_position_embeddings)];
  await mkdir(path.join(folder, 'onnx'), { recursive: true });
  await writeFile(path.join(folder, 'onnx/model.onnx'), encoder(sizes, { words, positions }));
}

/** Collects the nodes and constants of a graph. A node and its output have the same name. */
class Graph {
  readonly nodes: Buffer[] = [];
  readonly initializers: Buffer[] = [];
  #state = 1;

  /** Adds an operator with one output. Returns the name of the output. */
  add(name: string, operator: string, inputs: string[], attributes: Buffer[] = []): string {
    this.nodes.push(node(operator, inputs, [name], attributes));
    return name;
  }

  /** A matrix of random numbers, uniform with the standard deviation `scale`. */
  weights(name: string, dims: number[], scale: number): string {
    const numbers = new Float32Array(dims.reduce((product, size) => product * size, 1));
    for (let at = 0; at < numbers.length; at++) {
      this.#state = (Math.imul(this.#state, 1_664_525) + 1_013_904_223) >>> 0;
      numbers[at] = (this.#state / 2 ** 31 - 1) * scale * Math.sqrt(3);
    }
    return this.floats(name, dims, numbers);
  }

  floats(name: string, dims: number[], numbers: Float32Array): string {
    this.initializers.push(tensor(name, FLOAT, dims, Buffer.from(numbers.buffer)));
    return name;
  }

  ints(name: string, numbers: number[]): string {
    const bytes = Buffer.from(BigInt64Array.from(numbers, BigInt).buffer);
    this.initializers.push(tensor(name, INT64, [numbers.length], bytes));
    return name;
  }

  /** x · w + b. */
  dense(name: string, x: string, [rows, columns]: readonly [number, number]): string {
    const w = this.weights(`${name}.w`, [rows, columns], 1 / Math.sqrt(rows));
    const product = this.add(`${name}.product`, 'MatMul', [x, w]);
    return this.add(name, 'Add', [product, this.floats(`${name}.b`, [columns], new Float32Array(columns))]);
  }

  normalized(name: string, x: string, width: number): string {
    const ones = this.floats(`${name}.scale`, [width], new Float32Array(width).fill(1));
    const zeros = this.floats(`${name}.shift`, [width], new Float32Array(width));
    const attributes = [intAttribute('axis', -1), floatAttribute('epsilon', 1e-12)];
    return this.add(name, 'LayerNormalization', [x, ones, zeros], attributes);
  }
}

/** The ONNX file: input_ids, attention_mask and token_type_ids [batch, length] → last_hidden_state [batch, length, width]. */
function encoder(sizes: EncoderSizes, { words, positions }: { words: number; positions: number }): Buffer {
  const to = new Graph();
  const { layers, width } = sizes;
  addConstants(to, sizes);
  let x = embeddings(to, { words, positions, width });
  const mask = addMask(to);
  for (let layer = 0; layer < layers; layer++)
    x = addLayer(to, { x, mask, name: `layer.${layer}`, last: layer === layers - 1 }, sizes);
  const ids = (name: string) => value(name, INT64, ['batch', 'length']);
  const whole = graph({
    name: 'encoder',
    nodes: to.nodes,
    initializers: to.initializers,
    inputs: [ids('input_ids'), ids('attention_mask'), ids('token_type_ids')],
    outputs: [value('last_hidden_state', FLOAT, ['batch', 'length', width])],
  });
  return model(whole);
}

function addConstants(to: Graph, { heads, width }: EncoderSizes): void {
  to.ints('zero', [0]);
  to.ints('one', [1]);
  to.ints('axes', [1, 2]);
  // In a shape of Reshape, a zero keeps the size of the input.
  to.ints('in heads', [0, 0, heads, width / heads]);
  to.ints('joined', [0, 0, width]);
  to.floats('one float', [1], Float32Array.of(1));
  to.floats('masked', [1], Float32Array.of(-1e9));
  to.floats('scale', [1], Float32Array.of(1 / Math.sqrt(width / heads)));
  to.floats('half', [1], Float32Array.of(0.5));
  to.floats('root of two', [1], Float32Array.of(Math.SQRT2));
}

/** The sum of the vectors of words, segments and positions. */
function embeddings(to: Graph, sizes: { words: number; positions: number; width: number }): string {
  const { words, positions, width } = sizes;
  const word = to.add('word', 'Gather', [to.weights('words', [words, width], 1), 'input_ids']);
  const segment = to.add('segment', 'Gather', [to.weights('segments', [2, width], 1), 'token_type_ids']);
  const length = to.add('length', 'Gather', [to.add('shape', 'Shape', ['input_ids']), 'one']);
  const place = to.add('place', 'Slice', [to.weights('places', [positions, width], 1), 'zero', length, 'zero']);
  const sum = to.add('sum', 'Add', [to.add('word and segment', 'Add', [word, segment]), place]);
  return to.normalized('embedding', sum, width);
}

/** Zero for a token, and a large negative number for padding: [batch, 1, 1, length]. */
function addMask(to: Graph): string {
  const wide = to.add('wide mask', 'Unsqueeze', ['attention_mask', 'axes']);
  const float = to.add('float mask', 'Cast', [wide], [intAttribute('to', FLOAT)]);
  return to.add('mask', 'Mul', [to.add('padding', 'Sub', ['one float', float]), 'masked']);
}

function addLayer(
  to: Graph,
  { x, mask, name, last }: { x: string; mask: string; name: string; last: boolean },
  { width, inner }: EncoderSizes,
): string {
  const square = [width, width] as const;
  const split = (part: string, perm: readonly number[]) => {
    const dense = to.dense(`${name}.${part}`, x, square);
    const parts = to.add(`${name}.${part}.parts`, 'Reshape', [dense, 'in heads']);
    return to.add(`${name}.${part}.heads`, 'Transpose', [parts], [intsAttribute('perm', perm)]);
  };
  const [query, key, values] = [split('query', [0, 2, 1, 3]), split('key', [0, 2, 3, 1]), split('value', [0, 2, 1, 3])];
  const products = to.add(`${name}.products`, 'MatMul', [query, key]);
  const scores = to.add(`${name}.scores`, 'Mul', [products, 'scale']);
  const masked = to.add(`${name}.masked`, 'Add', [scores, mask]);
  const shares = to.add(`${name}.shares`, 'Softmax', [masked], [intAttribute('axis', -1)]);
  const mixed = to.add(`${name}.mixed`, 'MatMul', [shares, values]);
  const back = to.add(`${name}.back`, 'Transpose', [mixed], [intsAttribute('perm', [0, 2, 1, 3])]);
  const joined = to.add(`${name}.joined`, 'Reshape', [back, 'joined']);
  const attended = to.add(`${name}.attended`, 'Add', [to.dense(`${name}.attention`, joined, square), x]);
  const middle = to.normalized(`${name}.middle`, attended, width);
  const wide = gelu(to, to.dense(`${name}.wide`, middle, [width, inner]));
  const narrow = to.add(`${name}.sum`, 'Add', [to.dense(`${name}.narrow`, wide, [inner, width]), middle]);
  return to.normalized(last ? 'last_hidden_state' : `${name}.end`, narrow, width);
}

/** x · ½ (1 + erf(x / √2)), as torch exports it. */
function gelu(to: Graph, x: string): string {
  const erf = to.add(`${x}.erf`, 'Erf', [to.add(`${x}.divided`, 'Div', [x, 'root of two'])]);
  const product = to.add(`${x}.gelu2`, 'Mul', [x, to.add(`${x}.raised`, 'Add', [erf, 'one float'])]);
  return to.add(`${x}.gelu`, 'Mul', [product, 'half']);
}
