/**
 * Writes a larger network with the handler, drugs and signature of the bundled model. A row takes eight times as long as in the
 * bundled model, like the models of many teams. The outputs have no meaning, and the bench checks the outputs anyway.
 */
import { cp, mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { InferenceSession, Tensor } from 'onnxruntime-node';
import { FLOAT, graph, intAttribute, model, node, tensor, value } from './onnx-writer.ts';
import { bundled, folderName, readDrugs } from './rivals/model.ts';
import { median } from './statistics.ts';

/** Neurons of the two hidden layers. */
const HIDDEN = [1_024, 512] as const;

/**
 * Writes the model to `<modelsDir>/drug-interaction`. Returns the microseconds per row on this machine, alone and in a
 * batch of 64.
 */
export async function writeWideModel(modelsDir: string): Promise<{ alone: number; among64: number }> {
  const width = (await readDrugs())[0]?.vector?.length ?? Number.NaN;
  const bytes = wideModel(width);
  const folder = path.join(modelsDir, folderName);
  await mkdir(path.join(folder, '1'), { recursive: true });
  await writeFile(path.join(folder, '1/model.onnx'), bytes);
  for (const part of ['model.json', 'handler.ts', 'entities']) {
    await cp(path.join(bundled, part), path.join(folder, part), { recursive: true });
  }
  return { alone: (await runMs(bytes, width, 1)) * 1_000, among64: (await runMs(bytes, width, 64)) * (1_000 / 64) };
}

async function runMs(bytes: Uint8Array, width: number, rows: number): Promise<number> {
  const session = await InferenceSession.create(bytes, { intraOpNumThreads: 1, interOpNumThreads: 1 });
  const half = new Tensor('float32', new Float32Array(rows * width).fill(0.5), [rows, width]);
  const took: number[] = [];
  for (let n = 0; n < 99; n++) {
    const start = performance.now();
    await session.run({ a: half, b: half });
    took.push(performance.now() - start);
  }
  await session.release();
  return median(took);
}

/** a, b [n, width] → probability [n]: sigmoid(relu(relu([a, b] · w1) · w2) · w3). */
function wideModel(width: number): Uint8Array {
  const sizes = [2 * width, ...HIDDEN, 1];
  const weights = sizes.slice(1).map((columns, layer) => {
    const rows = sizes[layer] as number;
    const numbers = new Float32Array(rows * columns).map((_, index) => Math.sin(index * (layer + 1)) / Math.sqrt(rows));
    return tensor(`w${layer + 1}`, FLOAT, [rows, columns], Buffer.from(numbers.buffer));
  });
  const whole = graph({
    name: 'wide',
    nodes: [
      node('Concat', ['a', 'b'], ['x'], [intAttribute('axis', 1)]),
      node('MatMul', ['x', 'w1'], ['h1']),
      node('Relu', ['h1'], ['r1']),
      node('MatMul', ['r1', 'w2'], ['h2']),
      node('Relu', ['h2'], ['r2']),
      node('MatMul', ['r2', 'w3'], ['logit']),
      node('Sigmoid', ['logit'], ['column']),
      node('Flatten', ['column'], ['flat'], [intAttribute('axis', 0)]),
      node('Squeeze', ['flat', 'first'], ['probability']),
    ],
    initializers: [...weights, tensor('first', 7, [1], Buffer.from(BigInt64Array.of(0n).buffer))],
    inputs: [value('a', FLOAT, ['batch', width]), value('b', FLOAT, ['batch', width])],
    outputs: [value('probability', FLOAT, ['batch'])],
  });
  return model(whole);
}
