/**
 * The ceiling of one API process: Fastify parses and validates the body, sends a response as large as Millrace's
 * response, and does nothing else.
 */
import { newPredictionId } from '@millrace/shared/predictions/ids';
import { renderPrediction } from '@millrace/shared/predictions/prediction';
import Fastify from 'fastify';
import { predictionsPath } from './model.ts';
import { Body } from './schemas.ts';
import { serve } from './serve.ts';

const now = Date.now();
// The text is made once: no response of this size can cost less.
const response = renderPrediction(
  {
    id: newPredictionId(0, now),
    model: 'drug-interaction',
    version: '1',
    status: 'succeeded',
    result: JSON.stringify({
      interaction: true,
      probability: 0.987654,
      drug_a: 'Warfarin',
      drug_b: 'Fluconazole',
      basis: 'structure and profile',
    }),
    createdAt: now,
    startedAt: now + 3,
    completedAt: now + 5,
    expiresAt: now + 86_400_000,
    attempts: 1,
    metadata: '',
    inferenceMs: 1.234,
    batchSize: 64,
    digest: 'd'.repeat(64),
    priority: 'normal',
    webhook: null,
    list: false,
    rows: 1,
    cache: 'miss',
  },
  '',
);

const app = Fastify();
app.post(predictionsPath, { schema: { body: Body } }, (_, reply) => {
  reply.type('application/json; charset=utf-8').send(response);
});
await serve(app);
