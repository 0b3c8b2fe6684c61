import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createPool, type Pool } from '@millrace/shared/postgres/db';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { useMillrace } from '../support/millrace.ts';
import { coupledAbove, dice, perceptron } from '../support/onnx-models.ts';

let dir: string;
let db: Pool;

async function put(model: string, bytes: Buffer, config: object = {}): Promise<void> {
  await mkdir(join(dir, model, '1'), { recursive: true });
  await writeFile(join(dir, model, '1', 'model.onnx'), bytes);
  await writeFile(join(dir, model, 'model.json'), JSON.stringify(config));
}

const millrace = useMillrace(async () => {
  dir = await mkdtemp(join(tmpdir(), 'millrace-models-'));
  await put('dice', dice());
  await put('allowed', dice(), { deterministic: true });
  await put('rows', perceptron());
  await put('coupled', coupledAbove(3));
  return { modelsDir: dir, models: ['dice', 'allowed', 'rows', 'coupled'] };
});
beforeAll(() => {
  const databaseUrl = millrace.env.DATABASE_URL as string;
  db = createPool({ databaseUrl, max: 1, statementTimeoutMs: 10_000, applicationName: 'nondeterministic' });
});
afterAll(async () => {
  await db.end();
  await rm(dir, { recursive: true, force: true });
});

const predict = (model: string, input: unknown, headers: Record<string, string> = {}) =>
  millrace.predict(model, { input }, { prefer: 'wait=30', ...headers });
const values = (response: { body: { output: { y: { data: number[] } } } }) => response.body.output.y.data;

describe('a model that draws random numbers', () => {
  test('is not cached, and Cache-Status has the reason', async () => {
    const [first, second] = [await predict('dice', { x: [[1, 2]] }), await predict('dice', { x: [[1, 2]] })];
    for (const response of [first, second])
      expect(response.headers.get('cache-status')).toBe('millrace; fwd=bypass; detail=nondeterministic');
    expect(values(second)).not.toEqual(values(first));
    expect(second.body.id).not.toBe(first.body.id);
    expect(second.headers.get('etag')).not.toBe(first.headers.get('etag'));
  });

  test('computes a separate output for each of many simultaneous requests', async () => {
    const responses = await Promise.all(Array.from({ length: 20 }, () => predict('dice', { x: [[3, 4]] })));
    expect(new Set(responses.map((response) => String(values(response)))).size).toBe(20);
  });

  test('computes separate outputs for equal inputs of one request', async () => {
    const inputs = Array.from({ length: 5 }, () => ({ x: [[5, 6]] }));
    const { body } = await millrace.predict('dice', { inputs }, { prefer: 'wait=30' });
    expect(new Set(body.outputs.map(({ y }: { y: { data: number[] } }) => String(y.data))).size).toBe(5);
  });

  test('is never found with only-if-cached', async () => {
    const { status, body, headers } = await predict('dice', { x: [[1, 2]] }, { 'cache-control': 'only-if-cached' });
    expect([status, body.code]).toEqual([504, 'not_cached']);
    expect(body.detail).toContain('equal inputs may have different results');
    expect(headers.get('cache-status')).toBe('millrace; fwd=bypass; detail=nondeterministic');
  });

  test('returns the same prediction for an Idempotency-Key', async () => {
    const headers = { 'idempotency-key': 'dice-1' };
    const [first, second] = [
      await predict('dice', { x: [[7, 8]] }, headers),
      await predict('dice', { x: [[7, 8]] }, headers),
    ];
    expect(second.body.id).toBe(first.body.id);
    expect(values(second)).toEqual(values(first));
  });

  test('is not shared through /v2 either', async () => {
    const infer = async () => {
      const inputs = [{ name: 'x', datatype: 'FP32', shape: [1, 2], data: [1, 2] }];
      const response = await millrace.request('/v2/models/dice/infer', { body: { inputs } });
      expect(response.headers.get('cache-status')).toBe('millrace; fwd=bypass; detail=nondeterministic');
      return response.body.outputs[0].data;
    };
    expect(await infer()).not.toEqual(await infer());
  });

  test('is cached when model.json allows it', async () => {
    const first = await predict('allowed', { x: [[1, 2]] });
    expect(first.headers.get('cache-status')).toMatch(/^millrace; fwd=miss; stored; key="[0-9a-f]{8}"$/);
    // The result is stored beside the response, and possibly after the response.
    await vi.waitFor(async () => expect((await predict('allowed', { x: [[1, 2]] })).body.id).toBe(first.body.id), {
      timeout: 60_000,
    });
  });

  test('is reported with the reason', async () => {
    const version = async (model: string) => (await millrace.request(`/v1/models/${model}/versions/1`)).body;
    expect(await version('dice')).toMatchObject({
      deterministic: false,
      deterministic_reason: 'its operator RandomNormalLike draws random numbers at each run',
      row_independent: false,
    });
    expect(await version('allowed')).toMatchObject({ deterministic: true, deterministic_reason: 'model.json says so' });
    expect(await version('rows')).toMatchObject({
      deterministic: true,
      row_independent: true,
      row_independent_reason: expect.stringContaining('gave the same alone and in batches of'),
    });
    const { body } = await millrace.request('/v1/models/coupled/versions');
    expect(body.data[0]).toMatchObject({
      row_independent: false,
      row_independent_reason: expect.stringMatching(/^its output "y" of a row is another when/),
    });
  });
});

test('rows that influence each other run one prediction at a time, in the form of the request', async () => {
  const responses = await Promise.all(
    Array.from({ length: 16 }, (_, n) => predict('coupled', { x: [[n, n + 1]] }, { 'cache-control': 'no-store' })),
  );
  expect(responses.map(values)).toEqual(
    responses.map((_, n) => [n + Math.max(0, n - 3), n + 1 + Math.max(0, n + 1 - 3)]),
  );
  // Two rows of one caller run in one batch and are not separated.
  const [alone, together] = [
    await predict('coupled', { x: [[1, 2]] }),
    await predict('coupled', {
      x: [
        [9, 9],
        [1, 2],
      ],
    }),
  ];
  expect(values(alone)).toEqual([1, 2]);
  expect(values(together)).toEqual([15, 15, 7, 8]);
});

describe('a version that 0.1.0 registered', () => {
  /**
   * Restores the state of 0.1.0: rows were tested with small integers, and the configuration has no information about
   * random numbers.
   */
  const age = async (model: string, rowIndependent: boolean) => {
    await db.query(
      `UPDATE model_versions SET config = (config - 'findings' - 'deterministic')
              || jsonb_build_object('rowIndependent', $2::boolean, 'maxBatch', 64) WHERE model = $1`,
      [model, rowIndependent],
    );
  };
  const epochOf = async (model: string) =>
    (await db.query<{ epoch: number }>('SELECT cache_epoch AS epoch FROM models WHERE model = $1', [model])).rows[0]!
      .epoch;

  test('is verified again by the next worker, and wrongly cached results are discarded', async () => {
    const before = { coupled: await epochOf('coupled'), dice: await epochOf('dice'), rows: await epochOf('rows') };
    await millrace.stopWorkers('stop');
    await Promise.all([age('coupled', true), age('dice', true), age('rows', true)]);
    await millrace.startWorker();
    const configs = async () =>
      Object.fromEntries(
        (
          await db.query<{ model: string; config: { deterministic?: boolean; rowIndependent: boolean } }>(
            'SELECT model, config FROM model_versions',
          )
        ).rows.map(({ model, config }) => [model, config]),
      );
    await vi.waitFor(
      async () => {
        const { coupled, dice: drawn, rows } = await configs();
        expect(coupled).toMatchObject({ rowIndependent: false, deterministic: true });
        expect(drawn).toMatchObject({ rowIndependent: false, deterministic: false });
        expect(rows).toMatchObject({ rowIndependent: true, deterministic: true });
      },
      { timeout: 60_000, interval: 50 },
    );
    expect(await epochOf('coupled')).toBe(before.coupled + 1);
    expect(await epochOf('dice')).toBe(before.dice + 1);
    expect(await epochOf('rows')).toBe(before.rows);
  });

  test('is not cached until the new verification', async () => {
    await millrace.stopWorkers('stop');
    await age('rows', true);
    const worker = await millrace.startWorker({ WORKER_MODELS: 'allowed' });
    await vi.waitFor(
      async () => expect((await millrace.request('/v1/models/rows/versions/1')).body.deterministic).toBeNull(),
      { timeout: 60_000, interval: 50 },
    );
    const { status, headers } = await predict('rows', { x: [[1, 2]] }, { prefer: 'respond-async' });
    expect([status, headers.get('cache-status')]).toEqual([202, 'millrace; fwd=bypass; detail=unverified']);
    await worker.stop();
  });
});
