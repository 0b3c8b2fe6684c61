/**
 * Tests a models folder that changes under a registered version, as during an upgrade of the image: every process names
 * the version.
 */
import { execFile } from 'node:child_process';
import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';
import { afterAll, expect, test } from 'vitest';
import { useMillrace } from '../support/millrace.ts';
import { makeModelFolder } from '../support/model-folder.ts';
import { identity } from '../support/onnx-models.ts';
import { startApiProcess } from '../support/worker-process.ts';

const run = promisify(execFile);
let dir = '';
let remove = async () => {};

const handler = (comment: string) => `
import { defineHandler, Type } from '@millrace/shared/handler';
// ${comment}
export default defineHandler({
  input: Type.Object({ x: Type.Number() }),
  output: Type.Object({ y: Type.Number() }),
  canonicalize: ({ x }) => ({ x }),
  encode: ({ x }) => ({ x: { dtype: 'float32', dims: [1, 1], data: Float32Array.of(x) } }),
  decode: ({ y }) => ({ y: Number(y.data[0]) }),
});
`;

const millrace = useMillrace(async () => {
  const folder = await makeModelFolder(['echo', 'rows']);
  ({ dir, remove } = folder);
  return { modelsDir: dir, models: ['echo', 'rows'] };
});
afterAll(() => remove());

const readiness = async (url: string) => {
  const response = await fetch(`${url}/readyz`);
  return { code: response.status, ...((await response.json()) as { status: string; degraded?: string[] }) };
};
const SENTENCE =
  /^The files of echo\/1 in the models folder have the digest .*Versions never change: restore the registered/;

test('a version with changed files is named by /readyz, /v1/models, the command and the metrics, and other models are still served', async () => {
  const file = path.join(dir, 'echo/1/model.onnx');
  const registered = await readFile(file);
  await writeFile(file, identity('int64', [3]));
  // A worker that starts now, as a worker of a new image does.
  await millrace.stopWorkers('stop');
  const worker = await millrace.startWorker();
  await expect
    .poll(() => readiness(millrace.url))
    .toMatchObject({
      code: 200,
      status: 'degraded',
      degraded: [expect.stringMatching(SENTENCE)],
    });
  expect(await readiness(worker.url)).toMatchObject({
    code: 200,
    status: 'degraded',
    degraded: [expect.stringMatching(SENTENCE)],
  });
  expect(await worker.metric('millrace_worker_models_mismatched')).toBe(1);
  const { body } = await millrace.request('/v1/models');
  expect(body.data).toMatchObject([
    { name: 'echo', problem: expect.stringMatching(SENTENCE) },
    { name: 'rows', problem: null },
  ]);
  const version = await millrace.request('/v1/models/echo/versions/1');
  expect(version.body).toMatchObject({ status: 'ready', reason: expect.stringMatching(SENTENCE) });
  const { PATH = '', HOME = '' } = process.env;
  const script = path.resolve(import.meta.dirname, '../../scripts/models.ts');
  const list = await run(process.execPath, [script, 'list'], { env: { PATH, HOME, ...millrace.env } });
  expect(list.stdout).toMatch(/echo\n {2}1 {2}ready .* The files of echo\/1/);
  const rows = await millrace.predict('rows', { input: { x: [[1, 1]] } }, { prefer: 'wait=30' });
  expect(rows.status).toBe(200);

  await writeFile(file, registered);
  await expect.poll(() => readiness(millrace.url)).toMatchObject({ code: 200, status: 'ready' });
  await expect.poll(() => readiness(worker.url)).toMatchObject({ code: 200, status: 'ready' });
  const echo = await millrace.predict('echo', { input: { x: [1, 5] } }, { prefer: 'wait=30' });
  expect(echo.status).toBe(200);
});

test('an API whose folder has another handler is degraded, and not ready when no model can be served', async () => {
  const { mkdir } = await import('node:fs/promises');
  await mkdir(path.join(dir, 'made/1'), { recursive: true });
  await writeFile(path.join(dir, 'made/1/model.onnx'), identity('float32', ['n', 1]));
  await writeFile(path.join(dir, 'made/handler.ts'), handler('as registered'));
  await millrace.stopWorkers('stop');
  const worker = await millrace.startWorker({ WORKER_MODELS: '' });
  await expect.poll(async () => (await millrace.request('/v1/models/made')).body.default_version).toBe('1');
  await worker.stop();

  const other = await makeModelFolder([]);
  await mkdir(path.join(other.dir, 'made/1'), { recursive: true });
  await writeFile(path.join(other.dir, 'made/1/model.onnx'), identity('float32', ['n', 1]));
  await writeFile(path.join(other.dir, 'made/handler.ts'), handler('with another comment'));
  const api = await startApiProcess({ ...millrace.env, MODELS_DIR: other.dir });
  const named = expect.stringContaining("not have the handler.ts with which version 1 of model 'made' was registered");
  await expect.poll(() => readiness(api.url)).toMatchObject({ code: 200, status: 'degraded', degraded: [named] });
  // With the other two models out of service, the API could not serve any request.
  for (const model of ['echo', 'rows'])
    await fetch(`${api.url}/v2/repository/models/${model}/unload`, { method: 'POST' });
  await expect
    .poll(() => readiness(api.url))
    .toMatchObject({ code: 503, status: 'not_ready', parts: { models: expect.stringContaining('no model is ready') } });
  await api.stop();
  await other.remove();
});
