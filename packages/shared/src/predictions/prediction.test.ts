import { expect, test } from 'vitest';
import { type Prediction, renderPrediction, rendersAscii } from './prediction.ts';

const BASE = 'https://millrace.example';

const succeeded: Prediction = {
  id: '0190a1b2-c3d4-7e5f-8a6b-7c8d9e0f1a2b',
  model: 'mlp',
  version: '1',
  digest: `sha256:${'ab'.repeat(32)}`,
  status: 'succeeded',
  result: '[0.5]',
  createdAt: 1_700_000_000_000,
  startedAt: 1_700_000_000_010,
  completedAt: 1_700_000_000_020,
  expiresAt: null,
  attempts: 1,
  opening: 0,
  metadata: '',
  inferenceMs: 1.25,
  batchSize: 4,
  priority: 'normal',
  webhook: null,
  list: false,
  rows: 1,
  cache: 'miss',
};

const changes: [name: string, change: Partial<Prediction>, base: string, isAscii: boolean][] = [
  ['ASCII only', {}, BASE, true],
  ['metadata of ASCII', { metadata: '{"a":1}' }, BASE, true],
  ['an error of ASCII', { status: 'failed', result: '{"code":"inference_failed"}' }, BASE, true],
  ['no public URL', {}, '', true],
  ['an output of latin1', { result: '"é"' }, BASE, false],
  ['an output beyond latin1', { result: '"日本"' }, BASE, false],
  ['metadata beyond ASCII', { metadata: '{"a":"ü"}' }, BASE, false],
  ['a model beyond ASCII', { model: 'mülp' }, BASE, false],
  ['a version beyond ASCII', { version: 'é' }, BASE, false],
  ['a public URL beyond ASCII', {}, 'https://mühle.example', false],
  ['a webhook', { webhook: { url: 'https://é.example/' } }, BASE, false],
];

test.each(changes)('%s: the JSON is sent as latin1 only where its bytes are the same', (_, change, base, isAscii) => {
  const prediction = { ...succeeded, ...change };
  const text = String(renderPrediction(prediction, base));
  expect(rendersAscii(prediction, base)).toBe(isAscii);
  if (isAscii) expect(Buffer.from(text, 'latin1')).toEqual(Buffer.from(text));
  expect(JSON.parse(text)).toMatchObject({ model: prediction.model, version: prediction.version });
});

test('predictions of two versions in turn have their own names', () => {
  const other: Prediction = { ...succeeded, version: '2', digest: `sha256:${'cd'.repeat(32)}` };
  for (const prediction of [succeeded, other, succeeded, { ...other, model: 'mlp-2' }])
    expect(JSON.parse(renderPrediction(prediction as Prediction & { result: string }, ''))).toMatchObject({
      model: prediction.model,
      version: prediction.version,
      digest: prediction.digest,
    });
});

test('a prediction that shares a run that had already started has waited for no time', () => {
  const follower = { ...succeeded, result: '[0.5]', createdAt: 1_700_000_000_015, completedAt: 1_700_000_000_014 };
  expect(JSON.parse(renderPrediction(follower, '')).metrics).toEqual({
    wait_ms: 0,
    run_ms: 1.25,
    total_ms: 0,
    run_rows: 4,
  });
});
