import { hash } from 'node:crypto';
import { readFileSync, statSync } from 'node:fs';
import path from 'node:path';
import type { TensorMap } from '@millrace/shared/handler';
import { beforeAll, expect, test, vi } from 'vitest';
import { entitiesOf, loadModel, readDrugs } from './drugs.ts';
import handler from './handler.ts';

vi.setConfig({ testTimeout: 60_000 });

type Input = { drug_a: string | { smiles: string }; drug_b: string | { smiles: string } };

const file = path.join(import.meta.dirname, '1/model.onnx');
const readJson = (name: string) => JSON.parse(readFileSync(path.join(import.meta.dirname, name), 'utf8'));
const fixture = readJson('fixtures/parity.json') as {
  model_sha256: string;
  tolerance: number;
  pairs: (Input & { probability: number })[];
};
const metrics = readJson('metrics.json');
const drugs = readDrugs();
const entities = entitiesOf(drugs);
const pairs = drugs.flatMap((a, index) => drugs.slice(index + 1).map((b) => [a.key, b.key] as [string, string]));

let run: Awaited<ReturnType<typeof loadModel>>;
beforeAll(async () => {
  run = await loadModel(file);
});

async function predict(inputs: Input[]) {
  const rows = await Promise.all(inputs.map(async (input) => handler.canonicalize(input, { entities })));
  const probability = await run((await handler.encode(rows, { entities })) as TensorMap);
  const tensors = { probability: { dtype: 'float32' as const, dims: [rows.length], data: probability } };
  return handler.decode(tensors, rows, { entities });
}

test('the fixture and the metrics belong to the model file', () => {
  expect(hash('sha256', readFileSync(file), 'hex')).toBe(fixture.model_sha256);
  expect(statSync(file).size).toBe(metrics.onnx.bytes);
});

test('1,000 pairs have the probabilities of the training library', async () => {
  expect(fixture.pairs).toHaveLength(1000);
  const outputs = await predict(fixture.pairs.map(({ drug_a, drug_b }) => ({ drug_a, drug_b })));
  const differences = outputs.map(({ probability }, index) =>
    Math.abs(probability - (fixture.pairs[index]?.probability ?? Number.NaN)),
  );
  expect(Math.max(...differences)).toBeLessThanOrEqual(fixture.tolerance);
});

test('every pair has the same probability in both orders, to the bit', async () => {
  expect(pairs).toHaveLength(19_110);
  const { a, b } = (await handler.encode(pairs, { entities })) as { a: TensorMap[string]; b: TensorMap[string] };
  const there = await run({ a, b });
  const back = await run({ a: b, b: a });
  expect(Buffer.compare(Buffer.from(there.buffer), Buffer.from(back.buffer))).toBe(0);
  expect(there.every((probability) => probability >= 0 && probability <= 1)).toBe(true);
});

test('a pair with a new drug has the same probability in both orders', async () => {
  const mixed = fixture.pairs.filter(({ drug_b }) => typeof drug_b !== 'string').slice(0, 100);
  const rows = await Promise.all(mixed.map(async (input) => handler.canonicalize(input, { entities })));
  const { a, b } = (await handler.encode(rows, { entities })) as { a: TensorMap[string]; b: TensorMap[string] };
  expect(await run({ a, b })).toEqual(await run({ a: b, b: a }));
});

test('a row has the same probability alone and in a batch of known and new drugs', async () => {
  const inputs = [...fixture.pairs.slice(0, 40), ...fixture.pairs.slice(-40)];
  const together = await predict(inputs.map(({ drug_a, drug_b }) => ({ drug_a, drug_b })));
  for (const [index, { drug_a, drug_b }] of inputs.entries()) {
    const [alone] = await predict([{ drug_a, drug_b }]);
    expect(alone?.probability).toBeCloseTo(together[index]?.probability as number, 5);
  }
});

test('the documented example is known to interact', async () => {
  const [output] = await predict([{ drug_a: 'Warfarin', drug_b: 'Fluconazole' }]);
  expect(output).toMatchObject({ interaction: true, drug_a: 'Warfarin', drug_b: 'Fluconazole' });
  expect(output?.probability).toBeGreaterThan(0.9);
});

test('the metrics of the training meet the goals', () => {
  const { pairs: held, unseen_drugs: unseen } = metrics.splits;
  expect(held.roc_auc).toBeGreaterThanOrEqual(0.97);
  expect(held.roc_auc).toBeGreaterThanOrEqual(held.baseline.roc_auc + 0.1);
  expect(held.ece).toBeLessThanOrEqual(0.03);
  expect(unseen.roc_auc).toBeGreaterThan(unseen.baseline.roc_auc);
  expect(metrics.onnx.max_abs_diff).toBeLessThanOrEqual(1e-5);
  expect(metrics.onnx.bytes).toBeLessThanOrEqual(5_000_000);
});

test('one thread computes one row within 0.5 ms and 128 rows within 4 ms', async () => {
  for (const [count, limitMs] of [
    [1, 0.5],
    [128, 4],
  ] as const) {
    const tensors = (await handler.encode(pairs.slice(0, count), { entities })) as TensorMap;
    const times: number[] = [];
    for (let round = 0; round < 100; round++) {
      const startedAt = performance.now();
      await run(tensors);
      times.push(performance.now() - startedAt);
    }
    // The fastest of many runs is the time of the model without other load on the machine.
    expect(Math.min(...times)).toBeLessThan(limitMs);
  }
});
