/**
 * Tests published models from PyPI wheels, run one at a time and all at once: the outputs equal onnxruntime's own
 * outputs to 1e-5. The test runs where REAL_MODELS_DIR is the folder that `pip install --target DIR silero-vad
 * rapidocr-onnxruntime` (with --no-deps) has filled.
 */
import { cp, mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { Tensor, TensorMap } from '@millrace/shared/tensors/tensor';
import { bytesOf } from '@millrace/shared/tensors/tensor-data';
import { parseTensor } from '@millrace/shared/tensors/tensor-json';
import { afterAll, describe, expect, test } from 'vitest';
import { openSession, type Place, runSession } from '../../apps/worker/src/engine/child/ort-tensor.ts';
import { randomFrom } from '../../apps/worker/src/engine/child/random-input.ts';
import { difference } from '../conformance/compare.ts';
import { useMillrace } from '../support/millrace.ts';

const ONE_THREAD: Place = { threads: 1, device: { provider: 'cpu', id: 0 } };
const from = process.env.REAL_MODELS_DIR ?? '';
const MODELS = {
  /** Voice activity: a recurrent state of [2, n, 128], whose batch is its second dimension. */
  voice: 'silero_vad/data/silero_vad.onnx',
  /** Text detection: images [n, 3, height, width] of any size. */
  text: 'rapidocr_onnxruntime/models/ch_PP-OCRv4_det_infer.onnx',
  /** Text direction: images [n, 3, 48, 192]; its rows are independent. */
  direction: 'rapidocr_onnxruntime/models/ch_ppocr_mobile_v2.0_cls_infer.onnx',
} as const;
type Name = keyof typeof MODELS;

const random = randomFrom(7);
const noise = (...dims: number[]): Tensor => ({
  dtype: 'float32',
  dims,
  data: Float32Array.from({ length: dims.reduce((product, dim) => product * dim, 1) }, () => 2 * random() - 1),
});
const rate: Tensor = { dtype: 'int64', dims: [], data: BigInt64Array.of(16_000n) };
const silence = (n: number): Tensor => ({ dtype: 'float32', dims: [2, n, 128], data: new Float32Array(2 * n * 128) });

describe.skipIf(from === '')('published models', () => {
  let dir = '';
  // Declared before useMillrace, so that the folder is removed after the workers have ended.
  afterAll(() => rm(dir, { recursive: true, force: true }));
  const millrace = useMillrace(async () => {
    dir = await mkdtemp(path.join(tmpdir(), 'millrace-real-'));
    for (const [name, file] of Object.entries(MODELS)) {
      await mkdir(path.join(dir, name, '1'), { recursive: true });
      await cp(path.join(from, file), path.join(dir, name, '1', 'model.onnx'));
    }
    return { modelsDir: dir, models: Object.keys(MODELS) };
  });

  async function infer(model: Name, inputs: TensorMap): Promise<TensorMap> {
    const input = Object.fromEntries(
      Object.entries(inputs).map(([name, { dims, data }]) => [
        name,
        { shape: dims, base64: bytesOf(data as Float32Array).toString('base64') },
      ]),
    );
    const { status, body } = await millrace.predict(model, { input }, { prefer: 'wait=60' });
    expect([status, body.error]).toEqual([200, null]);
    const output = Object.entries(body.output as Record<string, { dtype: 'float32'; shape: number[]; data: unknown }>);
    return Object.fromEntries(
      output.map(([name, { dtype, shape, data }]) => [name, parseTensor({ name, dtype, shape }, { shape, data }, '')]),
    );
  }

  async function alone(model: Name, requests: readonly TensorMap[]): Promise<TensorMap[]> {
    const session = await openSession(path.join(from, MODELS[model]), ONE_THREAD);
    const responses: TensorMap[] = [];
    for (const inputs of requests) responses.push(await runSession(session, inputs));
    await session.release();
    return responses;
  }

  async function same(model: Name, requests: readonly TensorMap[], how: 'one by one' | 'all at once'): Promise<void> {
    const expected = await alone(model, requests);
    const got: TensorMap[] = [];
    if (how === 'all at once') got.push(...(await Promise.all(requests.map((inputs) => infer(model, inputs)))));
    else for (const inputs of requests) got.push(await infer(model, inputs));
    const wrong = expected.flatMap((tensors, at) =>
      Object.entries(tensors).map(([name, tensor]) => difference(tensor, got[at]![name]!, 1e-5, 1e-5)),
    );
    expect(wrong.filter((fault) => fault !== undefined)).toEqual([]);
  }

  test('voice activity: the state of each step is the input of the next step, for several speakers at once', async () => {
    const steps = Array.from({ length: 5 }, () => noise(2, 576));
    let state = silence(2);
    let expectedState = silence(2);
    for (const input of steps) {
      const [expected] = await alone('voice', [{ input, state: expectedState, sr: rate }]);
      const got = await infer('voice', { input, state, sr: rate });
      for (const [name, tensor] of Object.entries(expected!))
        expect(difference(tensor, got[name]!, 1e-5, 1e-5)).toBeUndefined();
      state = got.stateN!;
      expectedState = expected!.stateN!;
    }
  });

  test('voice activity: 48 callers at once, of one to four speakers', async () => {
    const requests = Array.from({ length: 48 }, (_, n) => {
      const speakers = 1 + (n % 4);
      return { input: noise(speakers, 576), state: noise(2, speakers, 128), sr: rate };
    });
    await same('voice', requests, 'all at once');
  });

  const sizes = [
    [32, 32],
    [64, 64],
    [96, 64],
    [64, 160],
    [128, 128],
  ] as const;
  test.each(['one by one', 'all at once'] as const)('text detection: images of five sizes, %s', async (how) => {
    const requests = Array.from({ length: 20 }, (_, n) => {
      const [height, width] = sizes[n % sizes.length]!;
      return { x: noise(1 + (n % 2), 3, height, width) };
    });
    await same('text', requests, how);
  });

  test('text direction: 64 callers at once, run in batches', async () => {
    await same(
      'direction',
      Array.from({ length: 64 }, () => ({ x: noise(1, 3, 48, 192) })),
      'all at once',
    );
  });
});
