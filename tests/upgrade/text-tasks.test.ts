/** A Hugging Face folder while processes of 0.1.0, which know no tasks, run beside processes of this code. */
import { cpSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { useMillrace } from '../support/millrace.ts';
import { startApiProcess, startWorkerProcess, type WorkerProcess } from '../support/worker-process.ts';
import { unpackRelease } from './release.ts';

const CLASSIFIER = path.join(import.meta.dirname, '../models/text-models/models/classifier');
const dir = mkdtempSync(path.join(tmpdir(), 'millrace-text-upgrade-'));
cpSync(CLASSIFIER, path.join(dir, 'task'), { recursive: true });
const millrace = useMillrace({ modelsDir: dir, models: ['task'] });
const started: WorkerProcess[] = [];
let oldApi: WorkerProcess;

beforeAll(async () => {
  const release = await unpackRelease();
  oldApi = await startApiProcess(millrace.env, release);
  started.push(oldApi, await startWorkerProcess(millrace.env, release));
}, 120_000);
afterAll(async () => {
  await Promise.all(started.map((process) => process.kill()));
  rmSync(dir, { recursive: true });
});

const onOldApi = async (input: object) => {
  const response = await fetch(`${oldApi.url}/v1/models/task/predictions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', prefer: 'wait=30' },
    body: JSON.stringify({ input }),
  });
  return { status: response.status, code: ((await response.json()) as { code: string }).code };
};
const TENSORS = {
  input_ids: { shape: [1, 3], data: [2, 5, 3] },
  attention_mask: { shape: [1, 3], data: [1, 1, 1] },
};

test('while 0.1.0 runs beside, texts have their outputs: its worker takes none, and its API refuses the model', async () => {
  const texts = Array.from({ length: 64 }, (_, at) => `the text number ${at}`);
  const all = await Promise.all(
    texts.map((text) => millrace.predict('task', { input: { text } }, { prefer: 'wait=30' })),
  );
  expect(all.filter(({ body }) => body.status !== 'succeeded').map(({ body }) => body)).toEqual([]);
  expect(all[0]?.body.output).toMatchObject({ label: expect.any(String), score: expect.any(Number) });
  for (const input of [{ text: 'a text' }, TENSORS]) {
    const { status, code } = await onOldApi(input);
    expect([status, code]).toEqual([503, 'model_unavailable']);
  }
});
