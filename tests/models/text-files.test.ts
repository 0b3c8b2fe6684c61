/** The files of Hugging Face folders: found, missing, changed, and registered by an older release. */
import { appendFileSync, cpSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { listVersions } from '@millrace/shared/model-files/model-folder';
import { readVersion } from '@millrace/shared/model-files/read-version';
import pino from 'pino';
import { afterAll, expect, test } from 'vitest';
import { Devices } from '../../apps/worker/src/engine/devices.ts';
import { createVerifier } from '../../apps/worker/src/models/verifier.ts';
import { useMillrace } from '../support/millrace.ts';
import { untilCached } from '../support/until-cached.ts';

const MODELS = path.join(import.meta.dirname, 'text-models/models');
const dir = mkdtempSync(path.join(tmpdir(), 'millrace-text-files-'));
afterAll(() => rmSync(dir, { recursive: true }));

/** Copies a model of the tests under a name. */
function add(model: string, name: string, setting?: object): string {
  const folder = path.join(dir, name, '1');
  cpSync(path.join(MODELS, model, '1'), folder, { recursive: true });
  if (setting) writeFileSync(path.join(folder, 'model.json'), JSON.stringify(setting));
  return folder;
}

const read = async (name: string) => {
  const { versions } = await listVersions(dir);
  const files = versions.find(({ model }) => model === name);
  if (files === undefined) throw new Error(`${name} is not in the folder`);
  return readVersion(files);
};

add('classifier', 'plain');
add('entailment', 'pairs', { task: 'text-classification' });
add('reranker', 'tensors', { task: 'none' });
add('classifier', 'older');
add('embedding', 'limits');
add('words', 'wrong-task', { task: 'text-ranking' });
add('classifier', 'no-labels', { task: 'zero-shot-classification' });
writeFileSync(path.join(add('classifier', 'two', { task: 'text-classification' }), 'handler.ts'), 'export default {};');
rmSync(path.join(add('classifier', 'no-tokenizer', { task: 'text-classification' }), 'tokenizer.json'));
rmSync(path.join(add('classifier', 'no-files'), 'tokenizer.json'));
writeFileSync(
  path.join(add('classifier', 'broken', { task: 'text-classification' }), 'tokenizer.json'),
  '{"model": 1}',
);
const SERVED = ['plain', 'pairs', 'tensors', 'no-files', 'limits'];
const millrace = useMillrace({ modelsDir: dir, models: SERVED });

const predict = (model: string, input: object) => millrace.predict(model, { input }, { prefer: 'wait=30' });

test('model.json names the task, and a folder without a tokenizer serves tensors', async () => {
  const tasks = await Promise.all(
    SERVED.map(async (model) => (await millrace.request(`/v1/models/${model}`)).body.task),
  );
  expect(tasks).toEqual(['text-classification', 'text-classification', null, null, 'feature-extraction']);
  const { body } = await predict('pairs', { text: 'Hello', text_pair: 'world' });
  expect(body.output.scores).toHaveLength(3);
});

test('a missing or broken file, and a task that does not fit the model, fail the version with the reason', async () => {
  await expect(read('no-tokenizer')).rejects.toThrow('The task text-classification needs the file tokenizer.json');
  await expect(read('two')).rejects.toThrow(
    'has the task "text-classification", but the version also has a handler.ts',
  );
  const log = pino({ level: 'silent' });
  const devices = new Devices({ names: [], log });
  const verifier = createVerifier({ memoryBytes: 2_000_000_000, timeoutMs: 60_000, devices, log });
  try {
    for (const [name, reason] of [
      ['broken', /The model cannot be loaded: .*Tokenizer/],
      ['wrong-task', /Example 1 of model.json fails: .*no output "logits" with 2 dimensions/],
      ['no-labels', /zero-shot-classification needs a label "entailment"/],
    ] as const)
      expect(await verifier.verify(await read(name))).toMatchObject({
        ok: false,
        reason: expect.stringMatching(reason),
      });
  } finally {
    await verifier.close();
  }
});

test('the digest covers the files of the task, and an older release registered the same files as tensors', async () => {
  const before = await read('older');
  expect(before.file.task).toBe('text-classification');
  expect(before.earlier).toMatchObject([{ handlerDigest: null, task: null, file: {} }]);
  const { digest } = before;
  appendFileSync(path.join(dir, 'older/1/tokenizer.json'), '\n');
  const changed = await read('older');
  expect(changed.digest).not.toBe(digest);
  expect(changed.earlier[0]?.digest).toBe(before.earlier[0]?.digest);
  expect((await read('tensors')).task).toBeNull();
});

test('inputs that are no texts are refused, and odd texts have a result', async () => {
  for (const input of [{}, { text: 1 }, { text: 'a', more: 1 }, { text: 'x'.repeat(1_000_001) }, 'text', null])
    expect((await predict('limits', input as object)).status).toBe(400);
  const odd = [
    '',
    '\0',
    '\uD800',
    '[CLS][SEP][MASK]',
    '\u200b',
    'x'.repeat(300_000),
    ' '.repeat(900_000),
    'ab '.repeat(300_000),
  ];
  for (const text of odd) {
    const { status, body } = await predict('limits', { text });
    expect([text.slice(0, 20), status]).toEqual([text.slice(0, 20), 200]);
    expect(body.output.embedding).toHaveLength(32);
  }
  expect((await predict('limits', { text: 'ab '.repeat(300_000) })).body.output).toMatchObject({
    tokens: 64,
    truncated: true,
  });
});

test('texts with equal tokens share a result', async () => {
  const first = await predict('limits', { text: 'Equal   tokens' });
  await untilCached(millrace, 'limits', { input: { text: 'Equal   tokens' } });
  const second = await predict('limits', { text: ' equal tokens ' });
  expect(first.headers.get('cache-status')).toMatch(/fwd=miss/);
  expect(second.headers.get('cache-status')).toMatch(/hit/);
  expect(second.body.output).toEqual(first.body.output);
});
