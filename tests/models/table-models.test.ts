/** The exports of scikit-learn, LightGBM and XGBoost with the defaults of their converters, against the outputs of the libraries. */
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { useMillrace } from '../support/millrace.ts';
import { untilCached } from '../support/until-cached.ts';

const FILES = path.join(import.meta.dirname, 'table-models');

interface Expected {
  flowers: number[][];
  people: { age: number; income: number | null; city: string }[];
  models: Record<string, { labels: string[]; probabilities: number[][] }>;
}
const { flowers, people, models } = JSON.parse(readFileSync(path.join(FILES, 'expected.json'), 'utf8')) as Expected;

const INPUT: Record<string, string> = { lightgbm: 'x', xgboost: 'x' };
const rowsOf = (model: string): object[] =>
  model === 'columns' ? people : flowers.map((row) => ({ [INPUT[model] ?? 'X']: [row] }));

const dir = mkdtempSync(path.join(tmpdir(), 'millrace-table-models-'));
afterAll(() => rmSync(dir, { recursive: true }));
for (const name of Object.keys(models)) {
  mkdirSync(path.join(dir, name, '1'), { recursive: true });
  cpSync(path.join(FILES, `${name}.onnx`), path.join(dir, name, '1', 'model.onnx'));
}
const millrace = useMillrace({ modelsDir: dir, models: Object.keys(models) });

type Output = Record<string, { dtype: string; shape: number[]; data: unknown[]; label?: string[] }>;

/** Compares an output with the library. The outputs are the label and the probabilities, under the names of the converter. */
function check(model: string, at: number, output: Output): void {
  const expected = models[model]!;
  const [label, probabilities] = Object.values(output);
  const wanted = expected.probabilities[at]!;
  expect(probabilities).toMatchObject({ dtype: 'float32', shape: [1, wanted.length] });
  for (const [place, value] of wanted.entries()) expect(probabilities!.data[place]).toBeCloseTo(value, 5);
  // The library may give another label where two classes are equally probable.
  const [most = 0, next = 0] = [...wanted].sort((a, b) => b - a);
  if (most - next < 1e-5) return;
  expect(String(label!.data[0])).toBe(expected.labels[at]);
  if (!model.startsWith('forest-without') && probabilities!.label)
    expect(probabilities!.label).toEqual([expected.labels[at]]);
}

describe.each(Object.keys(models))('%s', (model) => {
  test('1,000 rows have the outputs of the library, as misses and as hits', { timeout: 180_000 }, async () => {
    const inputs = rowsOf(model);
    for (const cache of [/fwd=miss/, /hit/]) {
      if (cache.test('hit')) await untilCached(millrace, model, { inputs });
      const { status, body, headers } = await millrace.predict(model, { inputs }, { prefer: 'wait=60' });
      expect(`${status} ${JSON.stringify(body.error ?? body.detail ?? '')}`).toBe('200 ""');
      expect(headers.get('cache-status')).toMatch(cache);
      for (const [at, output] of (body.outputs as Output[]).entries()) check(model, at, output);
    }
  });

  test('64 clients at once have the outputs of the library', { timeout: 180_000 }, async () => {
    const rows = rowsOf(model);
    const headers = { prefer: 'wait=60', 'cache-control': 'no-cache' };
    const responses = await Promise.all(rows.slice(0, 64).map((input) => millrace.predict(model, { input }, headers)));
    for (const [at, { status, body }] of responses.entries()) {
      expect(status).toBe(200);
      check(model, at, body.output as Output);
    }
  });
});

test('the classes of a ZipMap are the labels of the probabilities, and rows are batched', async () => {
  const { body } = await millrace.request('/v1/models/linear/versions/1');
  expect(body.row_independent).toBe(true);
  const setosa = await millrace.predict('linear', { input: { X: [[5.1, 3.5, 1.4, 0.2]] } }, { prefer: 'wait=30' });
  expect(setosa.body.output.output_probability).toMatchObject({ shape: [1, 3], label: ['setosa'] });
});

test('a table takes a value, a list and a tensor for each column, and refuses a missing text', async () => {
  const predict = (input: object) => millrace.predict('columns', { input }, { prefer: 'wait=30' });
  const [one] = await Promise.all([
    predict({ age: 31, income: null, city: 'Bern' }),
    predict({ age: [31], income: [null], city: ['Bern'] }),
    predict({ age: [[31]], income: [['NaN']], city: [['Bern']] }),
    predict({ age: { shape: [1, 1], data: [31] }, income: ['NaN'], city: 'Bern' }),
  ]).then((all) => {
    for (const { status, body } of all) expect([status, body.output]).toEqual([200, all[0]!.body.output]);
    return all;
  });
  expect(one!.status).toBe(200);
  const many = await predict({ age: [31, 64], income: [50.5, null], city: ['Bern', 'Basel'] });
  expect(many.body.output.output_label).toMatchObject({ shape: [2] });
  const missing = await predict({ age: 31, income: 50, city: null });
  expect(missing.status).toBe(422);
  expect(missing.body.errors[0]).toMatchObject({ pointer: '/input/city', got: 'null' });
});
