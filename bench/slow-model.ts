/**
 * An ONNX model with a chosen run time on one core, for any number of threads: a Loop whose iterations depend on each
 * other.
 */
import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { InferenceSession, Tensor } from 'onnxruntime-node';
import { BOOL, FLOAT, graph, graphAttribute, INT64, model, node, tensor, value } from './onnx-writer.ts';
import { median } from './statistics.ts';

const width = 64;

/**
 * Writes `<modelsDir>/slow/1/model.onnx` and its model.json. Resolves to the milliseconds that a run takes on this
 * machine.
 */
export async function writeSlowModel(modelsDir: string, wantedMs: number): Promise<number> {
  let turns = 2_000;
  // Two trials: the first trial also warms the machine up.
  for (let n = 0; n < 2; n++) turns = Math.max(1, Math.round((turns * wantedMs) / (await runMs(slowModel(turns)))));
  const bytes = slowModel(turns);
  await mkdir(path.join(modelsDir, 'slow/1'), { recursive: true });
  await writeFile(path.join(modelsDir, 'slow/1/model.onnx'), bytes);
  const config = { description: `A model of ${wantedMs} ms a run.`, max_batch: 1, row_independent: false };
  await writeFile(path.join(modelsDir, 'slow/model.json'), JSON.stringify(config));
  return runMs(bytes);
}

async function runMs(bytes: Uint8Array): Promise<number> {
  const session = await InferenceSession.create(bytes, { intraOpNumThreads: 1, interOpNumThreads: 1 });
  const x = new Tensor('float32', new Float32Array(width).fill(0.5), [1, width]);
  const took: number[] = [];
  for (let n = 0; n < 9; n++) {
    const start = performance.now();
    await session.run({ x });
    took.push(performance.now() - start);
  }
  await session.release();
  return median(took);
}

/** x [1, 64] → y [1, 64]: tanh(y · w), `turns` times in sequence. */
function slowModel(turns: number): Uint8Array {
  const weights = new Float32Array(width * width).map((_, index) => Math.sin(index) / Math.sqrt(width));
  const body = graph({
    name: 'turn',
    nodes: [
      node('MatMul', ['state', 'w'], ['product']),
      node('Tanh', ['product'], ['next']),
      node('Identity', ['going'], ['go']),
    ],
    inputs: [value('turn_number', INT64, []), value('going', BOOL, []), value('state', FLOAT, [1, width])],
    outputs: [value('go', BOOL, []), value('next', FLOAT, [1, width])],
  });
  const whole = graph({
    name: 'slow',
    nodes: [node('Loop', ['turns', '', 'x'], ['y'], [graphAttribute('body', body)])],
    initializers: [
      tensor('turns', INT64, [], Buffer.from(BigInt64Array.of(BigInt(turns)).buffer)),
      tensor('w', FLOAT, [width, width], Buffer.from(weights.buffer)),
    ],
    inputs: [value('x', FLOAT, [1, width])],
    outputs: [value('y', FLOAT, [1, width])],
  });
  return model(whole);
}
