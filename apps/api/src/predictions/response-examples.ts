/** Examples of the responses of the prediction routes, for the OpenAPI document. The code that writes responses writes them. */
import { type Prediction, renderPrediction, renderWithoutOutput } from '@millrace/shared/predictions/prediction';

const CREATED_AT = Date.parse('2026-12-01T08:00:00.000Z');

const waiting: Prediction & { result: string } = {
  id: '0197c7f0-5b1c-7a52-9d0e-3f6f0f6d2c11',
  model: 'drug-interaction',
  version: '1',
  status: 'queued',
  result: '',
  createdAt: CREATED_AT,
  startedAt: null,
  completedAt: null,
  expiresAt: CREATED_AT + 3_600_000,
  attempts: 0,
  opening: 0,
  metadata: '{"order":"A-17"}',
  inferenceMs: null,
  batchSize: null,
  digest: '0f9a1c52b7e84d1d9a6f0c3e5b7a8d21c4e6f8091a2b3c4d5e6f708192a3b4c5',
  priority: 'normal',
  webhook: null,
  list: false,
  rows: 1,
  cache: 'miss',
};

const ended = {
  ...waiting,
  startedAt: CREATED_AT + 4,
  completedAt: CREATED_AT + 16,
  attempts: 1,
  inferenceMs: 11.4,
  batchSize: 8,
};

const done = {
  ...ended,
  status: 'succeeded',
  result: '{"interaction":true,"probability":0.98,"drug_a":"Warfarin","drug_b":"Fluconazole"}',
} as const;

const canceledResult = {
  type: 'urn:millrace:error:canceled',
  title: 'The prediction was canceled',
  status: 409,
  code: 'canceled',
  detail: 'A caller canceled the prediction.',
};

const queue = { position: 3, estimatedStartAt: CREATED_AT + 40, estimatedCompletionAt: CREATED_AT + 60 };

export const queued: unknown = JSON.parse(renderPrediction(waiting, '', queue));
export const succeeded: unknown = JSON.parse(renderPrediction(done, ''));
export const canceled: unknown = JSON.parse(
  renderPrediction({ ...ended, status: 'canceled', result: JSON.stringify(canceledResult) }, ''),
);
export const listed = { data: [JSON.parse(renderWithoutOutput(done, ''))], next: null, has_more: false };
export const bulkStep = { matched: 500, done: 498, next: 'TGlzdAGXx_BbHHpSnQ4_bw9tLBE' };
