import { randomUUID } from 'node:crypto';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createPool, type Pool } from '@millrace/shared/postgres/db';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { useMillrace } from '../support/millrace.ts';
import { identity, perceptron } from '../support/onnx-models.ts';
import { rawId } from '../support/raw-id.ts';

let dir = '';
afterAll(() => rm(dir, { recursive: true }));
const millrace = useMillrace(async () => {
  dir = await mkdtemp(path.join(tmpdir(), 'millrace-repeated-'));
  for (const [version, file] of [
    ['1', perceptron()],
    ['2', identity('float32', ['n', 2])],
  ] as const) {
    await mkdir(path.join(dir, 'two', version), { recursive: true });
    await writeFile(path.join(dir, 'two', version, 'model.onnx'), file);
  }
  return { modelsDir: dir, models: ['two'] };
});
let pool: Pool;
beforeAll(() => {
  const { databaseUrl } = millrace.config;
  pool = createPool({ databaseUrl, max: 1, statementTimeoutMs: 10_000, applicationName: 'repeated' });
});
afterAll(() => pool.end());

const promote = (version: string) =>
  expect
    .poll(async () => {
      const body = { version };
      return (await millrace.request('/v1/models/two/aliases/production', { method: 'PUT', body })).status;
    })
    .toBeLessThan(300);

test('a repeated request after a promotion promises the prediction of the first version, with its input', async () => {
  await promote('1');
  await millrace.stopWorkers('stop');
  const headers = { 'idempotency-key': randomUUID() };
  const input = { input: { x: [[1, 2]] }, metadata: { of: 'repeated' } };
  const original = millrace.predict('two', input, { ...headers, prefer: 'wait=50' });
  const repeat = () => millrace.predict('two', input, { ...headers, prefer: 'respond-async' });
  await expect.poll(async () => (await repeat()).status).toBe(202);
  await promote('2');
  // The first repetitions promised the prediction for the same version.
  await expect.poll(() => pool.query('DELETE FROM predictions').then(({ rowCount }) => rowCount)).toBe(1);
  const again = await repeat();
  expect([again.status, again.body.version]).toEqual([202, '1']);
  const { rows } = await pool.query('SELECT version, digest, task FROM predictions WHERE id = $1', [
    rawId(again.body.id),
  ]);
  const [row] = rows;
  expect([row.version, row.digest]).toEqual(['1', again.body.digest]);
  expect(JSON.parse(row.task).digest).toBe(again.body.digest);
  // Only the ledger has the prediction now.
  await millrace.forget(again.body.id);
  await millrace.startWorker();
  const first = await original;
  expect([first.status, first.body.id, first.body.version, first.body.status]).toEqual([
    200,
    again.body.id,
    '1',
    'succeeded',
  ]);
});
