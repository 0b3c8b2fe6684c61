/** Compares docs/models.md with the program: the handler and its check, the fields of model.json, and the example of Triton's client. */
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { useMillrace } from '../support/millrace.ts';
import { onnxModel } from '../support/onnx-builder.ts';
import { runModels } from '../support/run-models.ts';

const ROOT = path.resolve(import.meta.dirname, '../..');
const page = await readFile(path.join(ROOT, 'docs/models.md'), 'utf8');
const example = (language: string): string =>
  new RegExp(`^\`\`\`${language}\n([\\s\\S]*?)^\`\`\``, 'm').exec(page)?.[1] ?? '';
const millrace = useMillrace({ models: ['drug-interaction-similarity'] });

let dir = '';
beforeAll(async () => {
  dir = await mkdtemp(path.join(tmpdir(), 'millrace-docs-'));
});
afterAll(() => rm(dir, { recursive: true, force: true }));

/** Writes the handler of the page as the model `words` of a separate folder. Returns the folder. */
async function withHandler(name: string, source: string): Promise<string> {
  const folder = path.join(dir, name);
  await mkdir(path.join(folder, 'words/1'), { recursive: true });
  const weights = Buffer.from(Float32Array.from([-1, 1, 2]).buffer);
  const model = onnxModel({
    nodes: [{ op: 'MatMul', inputs: ['counts', 'w'], outputs: ['score'] }],
    inputs: [{ name: 'counts', dtype: 'float32', shape: ['n', 3] }],
    outputs: [{ name: 'score', dtype: 'float32', shape: ['n', 1] }],
    initializers: [{ name: 'w', dtype: 'float32', dims: [3, 1], data: weights }],
  });
  await writeFile(path.join(folder, 'words/1/model.onnx'), model);
  await writeFile(path.join(folder, 'words/handler.ts'), source);
  await writeFile(path.join(folder, 'words/model.json'), JSON.stringify({ examples: [{ text: 'bad, great' }] }));
  return folder;
}

test('the handler of the page serves a model', { timeout: 180_000 }, async () => {
  const folder = await withHandler('good', example('ts'));
  const { code, text } = await runModels({ dir: folder, args: ['check', 'words'] });
  expect(text).toContain('canonicalize  [1,0,1]');
  expect(text).toContain('decode        {"score":1}');
  expect(code).toBe(0);
});

test('a fault of the handler prints the lines of the page', { timeout: 180_000 }, async () => {
  const doubles = example('ts')
    .replace('Float32Array.from', 'Float64Array.from')
    .replace("dtype: 'float32'", "dtype: 'float64'");
  const folder = await withHandler('faulty', doubles);
  const { text } = await runModels({ dir: folder, args: ['check', 'words'] });
  const printed = /^```\n(words\/1: [\s\S]*?)^```/m.exec(page)?.[1]?.replace('[0,2,1]', '[1,0,1]');
  expect(printed).toContain('fails in encode');
  expect(text).toContain(printed);
});

test('the table names every field of model.json', async () => {
  const { properties } = JSON.parse(await readFile(path.join(ROOT, 'models/model.schema.json'), 'utf8'));
  const table = page.split('## model.json')[1]?.split('\n## ')[0] ?? '';
  const fields = Object.keys(properties).filter((name) => name !== '$schema');
  expect(fields.length).toBeGreaterThan(10);
  const missing = fields.filter((name) => !new RegExp(`^\\| .*\`${name}[\`.]`, 'm').test(table));
  expect(missing).toEqual([]);
  const known = new Set(fields);
  const named = [...table.matchAll(/^\| (`[^|]+)\|/gm)].flatMap(([, cell = '']) =>
    [...cell.matchAll(/`(\w+)/g)].map(([, name]) => name!),
  );
  expect(named.filter((name) => !known.has(name))).toEqual([]);
});

test("the example of Triton's client names tensors of a bundled model", async () => {
  const [, model, output] = /infer\("([^"]+)".*as_numpy\("([^"]+)"\)/.exec(example('python')) ?? [];
  const [, input, datatype] = /InferInput\("([^"]+)", x\.shape, "([^"]+)"\)/.exec(example('python')) ?? [];
  const { body } = await millrace.request(`/v2/models/${model}`);
  expect(body.inputs).toMatchObject([{ name: input, datatype }]);
  expect(body.outputs).toMatchObject([{ name: output }]);
  const [, row = ''] = /np\.array\(\[(\[.*?\])\]/.exec(example('python')) ?? [];
  const data = JSON.parse(row);
  const tensor = { name: input, datatype, shape: [1, data.length], data };
  const { status } = await millrace.request(`/v2/models/${model}/infer`, {
    method: 'POST',
    body: { inputs: [tensor] },
  });
  expect(status).toBe(200);
});
