/** Writes ONNX models whose inputs are raw tensors: x float32 [n, ...] → y float32 [n, 1], with independent rows. */
import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { InferenceSession, Tensor } from 'onnxruntime-node';
import { FLOAT, graph, intsAttribute, model, node, tensor, value } from '../onnx-writer.ts';

/** The floats of a row of an MLP. */
export const WIDTH = 166;

/** The neurons of the two hidden layers of the MLPs of about 20 and 160 µs a row. */
export const HIDDEN = { 'mlp-20': [640, 96], 'mlp-160': [1_280, 512] } as const;

export function modelFile(modelsDir: string, name: string): string {
  return path.join(modelsDir, name, '1/model.onnx');
}

export async function writeModel(modelsDir: string, name: string, bytes: Uint8Array): Promise<void> {
  await mkdir(path.join(modelsDir, name, '1'), { recursive: true });
  await writeFile(modelFile(modelsDir, name), bytes);
}

/** The model file is all that Millrace needs: a trial at the start finds that the rows are independent. */
export async function writeMlps(modelsDir: string): Promise<void> {
  for (const [name, hidden] of Object.entries(HIDDEN)) await writeModel(modelsDir, name, mlp(hidden));
}

/** x [n, 166] → y [n, 1]: sigmoid(relu(relu(x · w1) · w2) · w3). */
export function mlp(hidden: readonly number[]): Buffer {
  const sizes = [WIDTH, ...hidden, 1];
  const layers = sizes.slice(1).map((columns, layer) => {
    const rows = sizes[layer] as number;
    const numbers = new Float32Array(rows * columns).map((_, index) => Math.sin(index * (layer + 1)) / Math.sqrt(rows));
    const last = layer === sizes.length - 2;
    const [from, product, to] = [layer === 0 ? 'x' : `r${layer}`, `h${layer + 1}`, last ? 'y' : `r${layer + 1}`];
    return {
      weights: tensor(`w${layer + 1}`, FLOAT, [rows, columns], Buffer.from(numbers.buffer)),
      nodes: [node('MatMul', [from, `w${layer + 1}`], [product]), node(last ? 'Sigmoid' : 'Relu', [product], [to])],
    };
  });
  return model(
    graph({
      name: 'mlp',
      nodes: layers.flatMap(({ nodes }) => nodes),
      initializers: layers.map(({ weights }) => weights),
      inputs: [value('x', FLOAT, ['n', WIDTH])],
      outputs: [value('y', FLOAT, ['n', 1])],
    }),
  );
}

/** x [n, ...dims] → y [n, 1]: the mean of the row, which costs little beside the transfer of the row. */
export function mean(dims: readonly number[]): Buffer {
  const axes = dims.map((_, index) => index + 1);
  return model(
    graph({
      name: 'mean',
      nodes: [
        node('ReduceMean', ['x'], ['means'], [intsAttribute('axes', axes)]),
        node('Reshape', ['means', 'column'], ['y']),
      ],
      initializers: [tensor('column', 7, [2], Buffer.from(BigInt64Array.of(-1n, 1n).buffer))],
      inputs: [value('x', FLOAT, ['n', ...dims])],
      outputs: [value('y', FLOAT, ['n', 1])],
    }),
  );
}

/**
 * An MLP of about this many microseconds for a row alone on this machine, and its measured cost, alone and in a batch
 * of 64. The shortest of many runs counts, because other load on the machine can only lengthen a run.
 */
export async function mlpOf(wantedUs: number): Promise<{ bytes: Buffer; alone: number; among64: number }> {
  let neurons = Math.sqrt(wantedUs * 14_000);
  let bytes = mlp(hiddenOf(neurons));
  for (let n = 0; n < 4; n++) {
    // The work of a row grows with the square of the width.
    neurons *= Math.sqrt(wantedUs / (await rowUs(bytes, 1)));
    bytes = mlp(hiddenOf(neurons));
  }
  return { bytes, alone: await rowUs(bytes, 1), among64: await rowUs(bytes, 64) };
}

const hiddenOf = (neurons: number): number[] => [
  Math.max(16, Math.round(neurons)),
  Math.max(8, Math.round(neurons / 2)),
];

async function rowUs(bytes: Uint8Array, rows: number): Promise<number> {
  const session = await InferenceSession.create(bytes, { intraOpNumThreads: 1, interOpNumThreads: 1 });
  const x = new Tensor('float32', new Float32Array(rows * WIDTH).fill(0.5), [rows, WIDTH]);
  let shortest = Number.POSITIVE_INFINITY;
  for (let n = 0; n < 200; n++) {
    const start = performance.now();
    await session.run({ x });
    shortest = Math.min(shortest, performance.now() - start);
  }
  await session.release();
  return (shortest * 1_000) / rows;
}
