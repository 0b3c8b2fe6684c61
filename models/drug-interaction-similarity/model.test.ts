import { hash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { InferenceSession, Tensor } from 'onnxruntime-node';
import { expect, test } from 'vitest';

const file = path.join(import.meta.dirname, '1/model.onnx');
const fixture = JSON.parse(readFileSync(path.join(import.meta.dirname, 'fixtures/parity.json'), 'utf8')) as {
  model_sha256: string;
  tolerance: number;
  rows: { similarities: number[]; probability: number }[];
};

test('the ONNX forest has the probabilities of the scikit-learn forest', async () => {
  expect(hash('sha256', readFileSync(file), 'hex')).toBe(fixture.model_sha256);
  const session = await InferenceSession.create(file, { intraOpNumThreads: 1, interOpNumThreads: 1 });
  expect([session.inputNames, session.outputNames]).toEqual([['similarities'], ['probability']]);
  const rows = Float32Array.from(fixture.rows.flatMap(({ similarities }) => similarities));
  const outputs = await session.run({ similarities: new Tensor('float32', rows, [fixture.rows.length, 5]) });
  const probabilities = outputs.probability?.data as Float32Array;
  fixture.rows.forEach((row, index) => {
    expect(Math.abs((probabilities[index] as number) - row.probability)).toBeLessThanOrEqual(fixture.tolerance);
  });
});
