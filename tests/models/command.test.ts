/** Tests the messages of `npm run models` for a first-time user. */
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { onnxModel } from '../support/onnx-builder.ts';
import { perceptron } from '../support/onnx-models.ts';
import { runModels } from '../support/run-models.ts';

let dir = '';
beforeAll(async () => {
  dir = await mkdtemp(path.join(tmpdir(), 'millrace-command-'));
  await writeFile(path.join(dir, 'good.onnx'), perceptron());
  const value = (name: string) => ({ name, dtype: 'float32' as const, shape: ['n', 2] });
  const apart = onnxModel({
    nodes: [{ op: 'Add', inputs: ['x', 'w'], outputs: ['y'] }],
    inputs: [value('x')],
    outputs: [value('y')],
    initializers: [{ name: 'w', dtype: 'float32', dims: [2], data: { location: 'w.bin' } }],
  });
  await writeFile(path.join(dir, 'apart.onnx'), apart);
});
afterAll(() => rm(dir, { recursive: true, force: true }));

/** Runs the command on `dir`/models. The command may look for servers only in `dir`. */
const models = (...args: string[]) => runModels({ dir: path.join(dir, 'models'), args });

test.each<[string[], RegExp]>([
  [[], /^A command is needed: list,/],
  [['lst'], /^There is no command 'lst'; did you mean list\?/],
  [['list', 'more'], /^list takes 0 arguments, got 1: more/],
  [['promote', 'm'], /^promote takes 2 arguments, got 1: m/],
  [['add', 'FILE'], /^add needs --name/],
  [['list', '--name', 'm'], /^list takes no --name/],
  [['add', '--nam', 'm'], /^Unknown option '--nam'/],
  [['add', 'none.onnx', '--name', 'm'], /^none\.onnx cannot be read \(ENOENT\)/],
  [['add', 'x.onnx', '--name', 'Bad'], /^'Bad' is not a valid model name/],
  [['add', 'x.onnx', '--name', 'm', '--version', '../../out'], /^'\.\.\/\.\.\/out' is not a valid version name/],
])('%j is refused with a sentence', { timeout: 180_000 }, async (args, message) => {
  const { code, text } = await models(...args);
  expect(text).toMatch(message);
  expect(text).not.toMatch(/^ {4}at /m);
  // Exit code 2: the command line is invalid.
  expect(code).toBe(/^usage: /m.test(text) ? 2 : 1);
});

test('help exits without an error', { timeout: 180_000 }, async () => {
  expect(await models('--help')).toMatchObject({ code: 0, text: expect.stringMatching(/^usage: /) });
});

test('a file is added as the next version together with its data file, and is checked by name', {
  timeout: 180_000,
}, async () => {
  expect((await models('add', path.join(dir, 'apart.onnx'), '--name', 'm')).text).toMatch(
    /"w\.bin", which is not beside/,
  );
  await writeFile(path.join(dir, 'w.bin'), Buffer.alloc(8));
  for (const [file, version] of [
    ['apart.onnx', '1'],
    ['good.onnx', '2'],
  ]) {
    const added = await models('add', path.join(dir, file!), '--name', 'm');
    expect(added).toMatchObject({ code: 0, text: expect.stringContaining(`m/${version}: good`) });
  }
  expect(await readdir(path.join(dir, 'models/m/1'))).toEqual(['model.onnx', 'w.bin']);
  expect(await readdir(path.join(dir, 'models'))).toEqual(['m']);
  expect(await models('check', 'm/2')).toMatchObject({ code: 0, text: expect.stringContaining('x float32[n, 2]') });
  expect((await models('check', 'm/3')).text).toMatch(/no m\/3 in .* Did you mean m\/1, m\/2/);
});
