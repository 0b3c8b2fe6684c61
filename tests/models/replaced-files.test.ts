import { readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { listVersions } from '@millrace/shared/model-files/model-folder';
import { readVersion } from '@millrace/shared/model-files/read-version';
import { createPool } from '@millrace/shared/postgres/db';
import { pino } from 'pino';
import { afterAll, expect, test } from 'vitest';
import { startApi } from '../../apps/api/src/server.ts';
import { useMillrace } from '../support/millrace.ts';
import { floats, onnxModel } from '../support/onnx-builder.ts';
import { killEngines } from '../support/worker-process.ts';

let dir: string;

/** y = x + value for x of float32[n]. */
const plus = (value: number): Buffer =>
  onnxModel({
    nodes: [{ op: 'Add', inputs: ['x', 'w'], outputs: ['y'] }],
    inputs: [{ name: 'x', dtype: 'float32', shape: ['n'] }],
    outputs: [{ name: 'y', dtype: 'float32', shape: ['n'] }],
    initializers: [{ name: 'w', dtype: 'float32', dims: [1], data: floats(value) }],
  });

/** Returns `{ value: x * factor + 1 }` for `{ x }`, with a file that the handler imports. */
const HANDLER = `
  import { defineHandler, Type } from '@millrace/shared/handler';
  import { factor } from './factor.ts';
  export default defineHandler({
    input: Type.Object({ x: Type.Number() }),
    output: Type.Object({ value: Type.Number() }),
    canonicalize: ({ x }) => x,
    encode: (rows) => ({ x: { dtype: 'float32', dims: [rows.length], data: Float32Array.from(rows, (x) => x * factor) } }),
    decode: (tensors, rows) => rows.map((_, at) => ({ value: (tensors.y!.data as Float32Array)[at]! })),
  });
`;

/** The same, with a file that the handler opens by itself. */
const READING = HANDLER.replace(
  "import { factor } from './factor.ts';",
  "import { readFileSync } from 'node:fs';\n  const factor = Number(readFileSync(new URL('./factor.json', import.meta.url), 'utf8'));",
);

/** The same, with a package that is installed beside the handler. */
const PACKED = HANDLER.replace('./factor.ts', 'factor');
const factorPackage = (version: string, factor: number) => ({
  'packed/node_modules/factor/package.json': JSON.stringify({
    name: 'factor',
    version,
    exports: './main.js',
    type: 'module',
  }),
  'packed/node_modules/factor/main.js': `export const factor = ${factor};`,
});

async function write(files: Record<string, string | Buffer>): Promise<void> {
  for (const [path, content] of Object.entries(files)) {
    await mkdir(dirname(join(dir, path)), { recursive: true });
    await writeFile(join(dir, path), content);
  }
}

const millrace = useMillrace(async () => {
  dir = await mkdtemp(join(tmpdir(), 'millrace-models-'));
  await write({
    'plain/1/model.onnx': plus(1),
    'handled/1/model.onnx': plus(1),
    'handled/handler.ts': HANDLER,
    'handled/factor.ts': 'export const factor = 10;',
    'reading/1/model.onnx': plus(1),
    'reading/handler.ts': READING,
    'reading/factor.json': '10',
    'packed/1/model.onnx': plus(1),
    'packed/handler.ts': PACKED,
    ...factorPackage('1.0.0', 10),
  });
  return { modelsDir: dir, models: ['plain', 'handled', 'reading', 'packed'] };
});
afterAll(() => rm(dir, { recursive: true, force: true }));

const WAIT = { prefer: 'wait=30' };
const plain = (x: number) => millrace.predict('plain', { input: { x: [x] } }, WAIT);
const handled = (x: number) => millrace.predict('handled', { input: { x } }, WAIT);

test('no output of a replaced model.onnx or handler file is returned or cached', async () => {
  expect((await plain(1)).body.output.y.data).toEqual([2]);
  expect((await handled(1)).body.output).toEqual({ value: 11 });

  writeFileSync(join(dir, 'plain/1/model.onnx'), plus(100));
  writeFileSync(join(dir, 'handled/factor.ts'), 'export const factor = 77;');
  await killEngines(millrace.workers);

  const failed = [await plain(2), await plain(3)];
  for (const { body } of failed) {
    expect(body.status).toBe('failed');
    expect(body.error.detail).toContain('model.onnx is not the file with which the version was registered');
  }
  const refused = await handled(2);
  expect(refused.body.status).toBe('failed');
  expect(refused.body.error.detail).toContain('is not the file with which the version was registered');
  // Earlier results stay correct.
  expect((await plain(1)).body.output.y.data).toEqual([2]);

  writeFileSync(join(dir, 'plain/1/model.onnx'), plus(1));
  writeFileSync(join(dir, 'handled/factor.ts'), 'export const factor = 10;');
  expect((await plain(2)).body.output.y.data).toEqual([3]);
  expect((await plain(3)).body.output.y.data).toEqual([4]);
  expect((await handled(2)).body.output).toEqual({ value: 21 });
});

test('the worker neither returns nor stores the result of a replaced file that the handler opens by itself', async () => {
  const reading = (x: number) => millrace.predict('reading', { input: { x } }, WAIT);
  expect((await reading(1)).body.output).toEqual({ value: 11 });
  writeFileSync(join(dir, 'reading/factor.json'), '77');
  await killEngines(millrace.workers);
  const { body } = await reading(2);
  expect(body.status).toBe('failed');
  expect(body.error.detail).toContain('is not the file with which the version was registered');
  writeFileSync(join(dir, 'reading/factor.json'), '10');
  expect((await reading(2)).body.output).toEqual({ value: 21 });
});

test('the worker neither returns nor stores a result with another version of a package that the handler imports', async () => {
  const packed = (x: number) => millrace.predict('packed', { input: { x } }, WAIT);
  expect((await packed(1)).body.output).toEqual({ value: 11 });
  await write(factorPackage('2.0.0', 77));
  await killEngines(millrace.workers);
  const { body } = await packed(2);
  expect(body.status).toBe('failed');
  expect(body.error.detail).toContain('a package has another version than at the registration (here: factor@2.0.0)');
  await write(factorPackage('1.0.0', 10));
  expect((await packed(2)).body.output).toEqual({ value: 21 });
});

test('a version that 0.1.0 registered, without the files that its handler names, stays in service', async () => {
  const found = await readVersion((await listVersions(dir)).versions.find(({ model }) => model === 'reading')!);
  const { digest } = found;
  const before = found.earlier[0]!;
  expect(before.digest).not.toBe(digest);
  const pool = createPool({
    databaseUrl: millrace.config.databaseUrl,
    max: 1,
    statementTimeoutMs: 10_000,
    applicationName: 'registry',
  });
  await pool.query(
    `UPDATE model_versions SET digest = $1, handler_digest = $2 WHERE model = 'reading' AND digest = $3`,
    [before.digest, before.handlerDigest, digest],
  );
  await millrace.stopWorkers('stop');
  await millrace.startWorker();
  await expect
    .poll(async () => (await millrace.predict('reading', { input: { x: 3 } }, WAIT)).body.output, { timeout: 60_000 })
    .toEqual({ value: 31 });
  const { rows } = await pool.query(`SELECT state, digest, found_digest FROM model_versions WHERE model = 'reading'`);
  await pool.end();
  expect(rows).toEqual([{ state: 'ready', digest: before.digest, found_digest: null }]);
}, 60_000);

test('the API runs only the registered handler', async () => {
  const path = join(dir, 'handled/handler.ts');
  const registered = readFileSync(path);
  renameSync(path, join(dir, 'handled/kept.ts'));
  writeFileSync(path, String(registered).replace('=> x,', '=> 1_000 * x,'));
  const api = await startApi({ ...millrace.config, port: 0 }, pino({ level: 'silent' }));
  try {
    const response = await fetch(`${api.url}/v1/models/handled/predictions`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ input: { x: 1 } }),
    });
    expect(response.status).toBe(503);
    expect(await response.json()).toMatchObject({ code: 'model_unavailable' });
  } finally {
    await api.close(5_000);
    rmSync(path);
    renameSync(join(dir, 'handled/kept.ts'), path);
  }
});
