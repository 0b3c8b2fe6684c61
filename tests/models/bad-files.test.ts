/** Tests untrusted model files beside a good model that serves requests all the time. */
import { mkdir, mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { useMillrace } from '../support/millrace.ts';
import { onnxModel } from '../support/onnx-builder.ts';
import { perceptron, rangeBomb } from '../support/onnx-models.ts';

type Graph = Parameters<typeof onnxModel>[0];
const x = { name: 'x', dtype: 'float32', shape: ['n'] } as const;
const y = { ...x, name: 'y' };
const relu: Graph = { nodes: [{ op: 'Relu', inputs: ['x'], outputs: ['y'] }], inputs: [x], outputs: [y] };
const outside = (location: string) =>
  onnxModel({
    ...relu,
    nodes: [{ op: 'Add', inputs: ['x', 'w'], outputs: ['y'] }],
    initializers: [{ name: 'w', dtype: 'float32', dims: [2], data: { location } }],
  });
const circle = [
  { op: 'Add', inputs: ['x', 'b'], outputs: ['a'] },
  { op: 'Add', inputs: ['x', 'a'], outputs: ['b'] },
  { op: 'Relu', inputs: ['b'], outputs: ['y'] },
];

const BAD: Readonly<Record<string, [Buffer, RegExp]>> = {
  bomb: [rangeBomb(200_000_000), /more than 400 MiB of memory/],
  truncated: [perceptron().subarray(0, 60), /model\.onnx cannot be used: .*truncated/],
  cyclic: [onnxModel({ ...relu, nodes: circle }), /cannot be loaded/],
  parent: [outside('../../good/1/model.onnx'), /outside its own folder/],
  absolute: [outside('/etc/passwd'), /outside its own folder/],
  unknown: [
    onnxModel({ ...relu, nodes: [{ op: 'Nonsense', inputs: ['x'], outputs: ['y'] }] }),
    /operator "Nonsense" is not in operator set/,
  ],
  future: [onnxModel(relu, { opset: 99 }), /needs operator set 99 of ai\.onnx/],
};

let dir = '';
// Declared before useMillrace, so that the folder is removed after the workers have ended.
afterAll(() => rm(dir, { recursive: true, force: true }));
const put = async (model: string, file: Buffer) => {
  const made = path.join(dir, `.making-${model}`);
  await mkdir(path.join(made, '1'), { recursive: true });
  await writeFile(path.join(made, '1', 'model.onnx'), file);
  await rename(made, path.join(dir, model));
};
const millrace = useMillrace(async () => {
  dir = await mkdtemp(path.join(tmpdir(), 'millrace-bad-'));
  await put('good', perceptron());
  // All models are served, also models that are added later.
  return { modelsDir: dir, models: ['good'], env: { WORKER_MODELS: '', LOAD_MEMORY_MB: '400' } };
});

test('each bad file ends as failed with its reason, while the good model serves requests', {
  timeout: 180_000,
}, async () => {
  const responses: unknown[] = [];
  const stopping = new AbortController();
  const requests = (async () => {
    for (let n = 0; !stopping.signal.aborted; n++) {
      const { status, body } = await millrace.predict('good', { input: { x: [[n, 1]] } }, { prefer: 'wait=30' });
      responses.push(status === 200 && body.output.y.data[0] === n + 2 ? 'right' : body);
    }
  })();
  for (const [model, [file]] of Object.entries(BAD)) await put(model, file);
  for (const [model, [, reason]] of Object.entries(BAD)) {
    const version = async () => (await millrace.request(`/v1/models/${model}/versions/1`)).body;
    await expect
      .poll(version, { timeout: 60_000 })
      .toMatchObject({ status: 'failed', reason: expect.stringMatching(reason) });
    const refused = await millrace.predict(model, { input: { x: [1] } });
    expect([refused.status, refused.body.code]).toEqual([409, 'version_failed']);
    expect(refused.body.detail).toMatch(reason);
  }
  await put('another', perceptron());
  const state = async () => (await millrace.request('/v1/models/another/versions/1')).body.status;
  await expect.poll(state, { timeout: 60_000 }).toBe('ready');
  stopping.abort();
  await requests;
  expect(new Set(responses)).toEqual(new Set(['right']));
  expect(responses.length).toBeGreaterThan(10);
});
