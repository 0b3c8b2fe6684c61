import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { useMillrace } from '../support/millrace.ts';
import { addsFromFile } from '../support/onnx-models.ts';

/** y = x + w. The weights w are in the file weights.bin beside the model. */
const model = addsFromFile('weights.bin');
const weights = Buffer.from(new Float32Array([10, 20]).buffer);

let dir = '';
afterAll(() => rm(dir, { recursive: true }));
async function put(files: Readonly<Record<string, Buffer | string>>): Promise<void> {
  for (const [name, content] of Object.entries(files)) {
    await mkdir(path.dirname(path.join(dir, name)), { recursive: true });
    await writeFile(path.join(dir, name), content);
  }
}
const millrace = useMillrace(async () => {
  dir = await mkdtemp(path.join(tmpdir(), 'millrace-layouts-'));
  await put({
    // Triton: the model is a folder of several files, beside the settings and labels of Triton.
    'triton/config.pbtxt': 'platform: "onnxruntime_onnx"\n',
    // Triton: another name of the model file, and the labels of an output.
    'named/config.pbtxt': 'default_model_filename: "sum.onnx"\noutput [ { name: "y" label_filename: "labels.txt" } ]\n',
    'named/labels.txt': 'a\nb\n',
    'named/1/sum.onnx': model,
    'named/1/weights.bin': weights,
    'triton/labels.txt': 'a\nb\n',
    'triton/1/model.onnx/model.onnx': model,
    'triton/1/model.onnx/weights.bin': weights,
    // The storage of KServe for Triton, and OpenVINO Model Server with the name model.onnx.
    'kserve/1/model.onnx': model,
    'kserve/1/weights.bin': weights,
  });
  return { modelsDir: dir, models: ['triton', 'kserve', 'named'] };
});

test.each(['triton', 'kserve'])('the layout of %s is served', async (name) => {
  const { status, body } = await millrace.predict(name, { input: { x: [[1, 2]] } }, { prefer: 'wait=30' });
  expect([status, body.output]).toEqual([200, { y: { dtype: 'float32', shape: [1, 2], data: [11, 22] } }]);
});

test("the model file and the labels of Triton's config.pbtxt are served", async () => {
  const { status, body } = await millrace.predict('named', { input: { x: [[1, 2]] } }, { prefer: 'wait=30' });
  const output = { dtype: 'float32', shape: [1, 2], data: [11, 22], label: ['b'] };
  expect([status, body.output]).toEqual([200, { y: output }]);
});
