import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { makeHandlerModels } from '../support/handler-models.ts';
import { useMillrace } from '../support/millrace.ts';
import { floats, onnxModel } from '../support/onnx-builder.ts';

const SOURCE = `
import { defineHandler, Type } from '@millrace/handler';
const outputs = {
  right: { score: 1 },
  misspelt: { scor: 'nonsense' },
  nan: { score: 1, any: { deep: [Number.NaN] } },
  nothing: undefined,
};
export default defineHandler({
  input: Type.Object({ give: Type.String() }),
  output: Type.Object({ score: Type.Number(), any: Type.Optional(Type.Unknown()) }),
  canonicalize: ({ give }) => give,
  encode: (rows) => {
    if (rows.includes('throw')) throw new RangeError('encode has no such thing');
    return { x: { dtype: 'float32', dims: [rows.length, 1], data: new Float32Array(rows.length) } };
  },
  decode: (_, rows) => rows.map((give) => outputs[give]),
});
`;

/** Needs a package that the test installs later. */
const NEEDY = SOURCE.replace('const outputs', "import { score } from 'late-package';\nconst outputs").replace(
  'score: 1 }',
  'score }',
);

const NAMES = ['448', '471', '45', 'named'];

let dir = '';
let remove = async () => {};
const millrace = useMillrace(async () => {
  const folder = await makeHandlerModels({ giving: SOURCE, needy: NEEDY }, { row_independent: true });
  ({ dir, remove } = folder);
  await mkdir(path.join(dir, 'numeric/1'), { recursive: true });
  await writeFile(path.join(dir, 'numeric/1/model.onnx'), numericNames());
  await writeFile(path.join(dir, 'numeric/model.json'), JSON.stringify({ row_independent: true }));
  return { modelsDir: dir, models: ['giving', 'numeric'], env: { WORKER_MODELS: '' } };
});
afterAll(() => remove());

/** Output number k is x + k. */
function numericNames(): Buffer {
  return onnxModel({
    nodes: NAMES.map((name, at) => ({ op: 'Add', inputs: ['x', `k${at}`], outputs: [name] })),
    inputs: [{ name: 'x', dtype: 'float32', shape: ['n', 1] }],
    outputs: NAMES.map((name) => ({ name, dtype: 'float32' as const, shape: ['n', 1] })),
    initializers: NAMES.map((_, at) => ({ name: `k${at}`, dtype: 'float32' as const, dims: [1], data: floats(at) })),
  });
}

const wait = { prefer: 'wait=30' };
const give = (what: string) => millrace.predict('giving', { input: { give: what } }, wait);

test.each([
  ['misspelt', /does not match its schema/],
  ['nan', /^decode in the handler of version 1 of model 'giving' failed: the output has NaN or an infinite number/],
  ['nothing', /does not match its schema/],
])(
  'an output that the schema of the handler does not allow (%s) fails the prediction and is not cached',
  async (what, detail) => {
    expect((await give('right')).body).toMatchObject({ status: 'succeeded' });
    for (const _ of [1, 2]) {
      const { body, headers } = await give(what);
      expect(body).toMatchObject({
        status: 'failed',
        error: { code: 'inference_failed', detail: expect.stringMatching(detail) },
      });
      expect(headers.get('cache-status')).not.toContain('hit');
    }
  },
);

test('rows beside a row with a wrong output succeed: only the wrong row fails', async () => {
  const all = await Promise.all(['right', 'misspelt', 'throw'].map(give));
  expect(all.map(({ body }) => body.status)).toEqual(['succeeded', 'failed', 'failed']);
});

test('outputs keep the order of the model, also with numeric names, in JSON and in bytes, for one row and for many', async () => {
  for (const x of [[[1]], [[1], [2], [3]]]) {
    const { text } = await millrace.predict('numeric', { input: { x } }, wait);
    const places = NAMES.map((name) => text.indexOf(`"${name}":{"dtype"`));
    expect(places).toEqual([...places].sort((a, b) => a - b));
    expect(places[0]).toBeGreaterThan(0);
    const response = await fetch(`${millrace.url}/v2/models/numeric/infer`, {
      method: 'POST',
      body: JSON.stringify({
        parameters: { binary_data_output: true },
        inputs: [{ name: 'x', shape: [x.length, 1], datatype: 'FP32', data: x.flat() }],
      }),
    });
    const bytes = Buffer.from(await response.arrayBuffer());
    const length = Number(response.headers.get('inference-header-content-length'));
    const { outputs } = JSON.parse(bytes.toString('utf8', 0, length));
    expect(outputs.map(({ name }: { name: string }) => name)).toEqual(NAMES);
    const values = NAMES.flatMap((_, k) => x.map(([value = 0]) => value + k));
    expect(values.map((_, at) => bytes.readFloatLE(length + 4 * at))).toEqual(values);
  }
});

test('a version that lacks a package is tried again, and is ready after the package was installed', {
  timeout: 180_000,
}, async () => {
  const versionOf = async () => (await millrace.request('/v1/models/needy/versions/1')).body;
  await expect
    .poll(versionOf, { timeout: 60_000 })
    .toMatchObject({ reason: expect.stringContaining("Cannot find package 'late-package'") });
  const folder = path.join(dir, 'node_modules/late-package');
  await mkdir(folder, { recursive: true });
  await writeFile(path.join(folder, 'package.json'), '{"name":"late-package","type":"module","exports":"./index.js"}');
  await writeFile(path.join(folder, 'index.js'), 'export const score = 7;');
  await expect
    .poll(async () => (await millrace.request('/v1/models/needy')).body.default_version, { timeout: 60_000 })
    .toBe('1');
  const { body } = await millrace.predict('needy', { input: { give: 'right' } }, wait);
  expect(body).toMatchObject({ status: 'succeeded', output: { score: 7 } });
});
