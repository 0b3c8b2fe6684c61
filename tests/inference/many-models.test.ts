import { cp, mkdir } from 'node:fs/promises';
import path from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { useMillrace } from '../support/millrace.ts';
import { makeModelFolder } from '../support/model-folder.ts';

// More than can all have a consumer at once.
const COUNT = 80;
const names = Array.from({ length: COUNT }, (_, n) => `copy-${n}`);

let remove = async () => {};
// Registered before useMillrace, so that it runs after the workers have ended.
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

test('each of many models answers, and only those that are asked are listened to', async () => {
  // One that finds them all registered: while they came one by one, the first 64 were opened for good.
  await millrace.stopWorkers('stop');
  const worker = await millrace.startWorker();
  expect(await worker.metric('millrace_worker_consumers')).toBe(0);
  // One model alone is asked at its first: its work is heard of by its doorbell, and not by the next sweep.
  const wait = { prefer: 'wait=20' };
  const alone = await millrace.predict('copy-7', { input: { x: [[1, 2]] } }, wait);
  expect([alone.status, alone.body.output.y.data]).toEqual([200, [5, 0]]);
  expect(await worker.metric('millrace_worker_consumers')).toBe(1);
  const answers = await Promise.all(names.map((name, n) => millrace.predict(name, { input: { x: [[n, 1]] } }, wait)));
  expect(answers.map(({ status, body }) => [status, body.output?.y.data])).toEqual(
    names.map((_, n) => [200, [n + 2, 0]]),
  );
});
