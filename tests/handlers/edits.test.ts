/** Tests a development start: edited files of a version are served as a version of their own. */
import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { makeHandlerModels } from '../support/handler-models.ts';
import { useMillrace } from '../support/millrace.ts';

const handler = (says: string) => `
import { defineHandler, Type } from '@millrace/handler';
export default defineHandler({
  input: Type.Object({ x: Type.Number() }),
  output: Type.Object({ says: Type.String(), y: Type.Number() }),
  canonicalize: ({ x }) => x,
  encode: (rows) => ({ x: { dtype: 'float32', dims: [rows.length, 1], data: Float32Array.from(rows) } }),
  decode: ({ y }, rows) => rows.map((_, at) => ({ says: ${says}, y: y.data[at] })),
});
`;

let dir = '';
let remove = async () => {};
const millrace = useMillrace(async () => {
  const folder = await makeHandlerModels({ words: handler("'one'") }, { row_independent: true });
  ({ dir, remove } = folder);
  return { modelsDir: dir, models: ['words'], env: { WATCH_MODELS: 'true', SCAN_MS: '60000' } };
});
afterAll(() => remove());

const edit = (text: string) => writeFile(path.join(dir, 'words/handler.ts'), text);
const read = async (version?: string) => {
  const place = version === undefined ? 'words' : `words/versions/${version}`;
  const { body } = await millrace.predict(place, { input: { x: 1 } }, { prefer: 'wait=30' });
  return { version: body.version, says: body.output?.says };
};
const stateOf = async (version: string) => {
  const { body } = await millrace.request(`/v1/models/words/versions/${version}`);
  return { status: body.status, reason: body.reason };
};
const SOON = { timeout: 60_000 };

test('each edit is served under its own version, and never from the cache of another version', SOON, async () => {
  expect(await read()).toEqual({ version: '1', says: 'one' });
  await edit(handler("'two'"));
  await expect.poll(() => read(), SOON).toEqual({ version: '1-edit-1', says: 'two' });
  await edit(handler("'three'"));
  await expect.poll(() => read(), SOON).toEqual({ version: '1-edit-2', says: 'three' });
  // A named version does not change.
  expect(await read('1')).toEqual({ version: '1', says: 'one' });
  await expect
    .poll(() => stateOf('1-edit-1'), SOON)
    .toMatchObject({ status: expect.stringMatching(/draining|retired/) });
});

test(
  'a faulty edit fails with its line, the last good edit serves, and the corrected edit takes the name',
  SOON,
  async () => {
    await edit(handler('words.missing)'));
    await expect
      .poll(() => stateOf('1-edit-3'), SOON)
      .toEqual({ status: 'failed', reason: expect.stringMatching(/handler\.ts:\d+/) });
    expect(await read()).toEqual({ version: '1-edit-2', says: 'three' });
    await edit(handler("'four'"));
    await expect.poll(() => read(), SOON).toEqual({ version: '1-edit-3', says: 'four' });
  },
);

test('the registered files serve again when they are restored', SOON, async () => {
  await edit(handler("'one'"));
  await expect.poll(() => read(), SOON).toEqual({ version: '1', says: 'one' });
  expect(await readFile(path.join(dir, 'words/handler.ts'), 'utf8')).toContain("'one'");
});

test('a worker that does not watch drains the edits', { timeout: 180_000 }, async () => {
  await edit(handler("'five'"));
  await expect.poll(() => read(), SOON).toEqual({ version: '1-edit-4', says: 'five' });
  await millrace.stopWorkers('stop');
  await millrace.startWorker({ WATCH_MODELS: 'false', SCAN_MS: '500' });
  await expect
    .poll(() => stateOf('1-edit-4'), SOON)
    .toMatchObject({
      status: expect.stringMatching(/draining|retired/),
      reason: expect.stringContaining('WATCH_MODELS'),
    });
});
