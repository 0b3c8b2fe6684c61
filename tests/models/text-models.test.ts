/** Unchanged Hugging Face folders with text tasks. */
import path from 'node:path';
import { expect, test } from 'vitest';
import { useMillrace } from '../support/millrace.ts';

const FOLDER = path.join(import.meta.dirname, 'text-models/models');
const TASKS = {
  embedding: 'feature-extraction',
  classifier: 'text-classification',
  toxicity: 'text-classification',
  entities: 'token-classification',
  reranker: 'text-ranking',
  entailment: 'zero-shot-classification',
  words: 'fill-mask',
};
const millrace = useMillrace({ modelsDir: FOLDER, models: Object.keys(TASKS) });

test.each(Object.entries(TASKS))('the model %s has the task %s', async (model, task) => {
  const { body } = await millrace.request(`/v1/models/${model}`);
  expect(body.task).toBe(task);
  const version = await millrace.request(`/v1/models/${model}/versions/1`);
  expect(version.body).toMatchObject({ task, row_independent: true, deterministic: true });
});

test.each([
  [
    'embedding',
    { text: 'Hello, world' },
    { embedding: expect.any(Array), tokens: expect.any(Number), truncated: false },
  ],
  ['classifier', { text: 'Hello', text_pair: 'world' }, { label: expect.any(String), scores: expect.any(Array) }],
  ['reranker', { query: 'Hello', text: 'world' }, { score: expect.any(Number) }],
  ['entailment', { text: 'Hello', labels: ['a', 'b'] }, { scores: expect.any(Array) }],
  ['entities', { text: 'Angela Merkel visited Paris' }, { entities: expect.any(Array) }],
  ['words', { text: 'Hello <mask>!' }, { scores: expect.any(Array) }],
])('%s serves its input', async (model, input, output) => {
  const { status, body } = await millrace.predict(model, { input }, { prefer: 'wait=30' });
  expect(`${status} ${JSON.stringify(body.detail ?? body.error ?? '')}`).toBe('200 ""');
  expect(body.output).toMatchObject(output);
});
