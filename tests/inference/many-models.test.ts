import { cp, mkdir } from 'node:fs/promises';
import path from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { useMillrace } from '../support/millrace.ts';
import { makeModelFolder } from '../support/model-folder.ts';

// More models than a worker has consumers.
const COUNT = 80;
const names = Array.from({ length: COUNT }, (_, n) => `copy-${n}`);

let remove = async () => {};
// Declared before useMillrace, so that the folder is removed after the workers have ended.
afterAll(() => remove());
const millrace = useMillrace(async () => {
  const { dir, ...folder } = await makeModelFolder(['rows']);
  remove = folder.remove;
  for (const name of names) {
    await mkdir(path.join(dir, name));
    await cp(path.join(dir, 'rows'), path.join(dir, name), { recursive: true });
  }
  return { modelsDir: dir, models: names };
});

test('each of many models serves requests, and only requested models have a consumer', async () => {
  // A new worker finds all models registered. While models were registered one after the other, the first worker opened
  // the first 64 for good.
  await millrace.stopWorkers('stop');
  const worker = await millrace.startWorker();
  expect(await worker.metric('millrace_worker_consumers')).toBe(0);
  // The first request goes to a single model. The work signal reports the work before the next sweep does.
  const wait = { prefer: 'wait=20' };
  const alone = await millrace.predict('copy-7', { input: { x: [[1, 2]] } }, wait);
  expect([alone.status, alone.body.output.y.data]).toEqual([200, [5, 0]]);
  expect(await worker.metric('millrace_worker_consumers')).toBe(1);
  const responses = await Promise.all(names.map((name, n) => millrace.predict(name, { input: { x: [[n, 1]] } }, wait)));
  expect(responses.map(({ status, body }) => [status, body.output?.y.data])).toEqual(
    names.map((_, n) => [200, [n + 2, 0]]),
  );
});
