import { mkdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { expect, test } from 'vitest';
import { ACTING_HANDLER } from '../support/handler-models.ts';
import { identity } from '../support/onnx-models.ts';
import { startMillrace, useStartFolder } from './started.ts';

let dir = '';
useStartFolder((folder) => {
  dir = folder;
});

test('npm start -- --watch serves an edited handler at once under its own version', { timeout: 180_000 }, async () => {
  const modelsDir = path.join(dir, 'models');
  await mkdir(path.join(modelsDir, 'acting/1'), { recursive: true });
  await writeFile(path.join(modelsDir, 'acting/1/model.onnx'), identity('float32', ['n', 1]));
  const handler = path.join(modelsDir, 'acting/handler.ts');
  await writeFile(handler, ACTING_HANDLER);
  const millrace = await startMillrace(dir, { MODELS_DIR: modelsDir }, ['--watch']);
  await millrace.printed('Millrace serves acting');
  expect(millrace.output()).toContain('An edited handler is served at once');
  const read = async () => {
    const response = await fetch(`${millrace.baseUrl}/v1/models/acting/predictions`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', prefer: 'wait=10' },
      body: JSON.stringify({ input: { x: 2 } }),
    });
    const { version, output } = (await response.json()) as { version?: string; output?: unknown };
    return { version, output };
  };
  expect(await read()).toEqual({ version: '1', output: { y: 2 } });
  await writeFile(handler, (await readFile(handler, 'utf8')).replace('y: y.data[at]', 'y: 10 * y.data[at]'));
  await expect.poll(read, { timeout: 60_000 }).toEqual({ version: '1-edit-1', output: { y: 20 } });
  expect(millrace.output()).toMatch(/edited files: a version of their own .*model=acting version=1-edit-1/);
  millrace.signal('SIGTERM');
  expect(await millrace.exited).toEqual({ code: 0, signal: null });
});
