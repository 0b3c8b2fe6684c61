/** The schemas of the prediction routes: parameters, bodies, responses and texts. */
import type { FastifySchema } from 'fastify';
import { NoParameters } from '../http/action-body.ts';
import { json, noBody, text } from '../http/documentation.ts';
import { ModelParams, VersionParams } from '../models/schemas.ts';
import { bulkStep, canceled, listed, queued, succeeded } from './response-examples.ts';
import { BulkAction, Prediction, PredictionList } from './response-schemas.ts';
import {
  CancelBody,
  GetQuery,
  IdParams,
  ListQuery,
  PredictionForm,
  PredictionRequestBody,
  RetryBody,
} from './schemas.ts';

const PENDING = json(Prediction, 'Accepted, and not yet terminal: get `Location` after `Retry-After`.', [
  'Location',
  'Retry-After',
  'Millrace-Prediction-Status',
]);
const pair = (drug_a: unknown, drug_b: unknown) => ({ drug_a, drug_b });

const create = {
  tags: ['Predictions'],
  summary: 'Create a prediction',
  description:
    'The body has either `input` or `inputs`, or is a form with the parts of one input. A cached result is 200 at once. Otherwise the response is 202 at once, or with ' +
    '`Prefer: wait=N` 200 when the prediction ends within N seconds. A prediction with a 202 always reaches a final status.',
  requestHeaders: ['Prefer', 'Cache-Control', 'Idempotency-Key'],
  documentedBody: {
    'application/json': { schema: PredictionRequestBody },
    'multipart/form-data': { schema: PredictionForm },
  },
  examples: {
    one: { input: pair('Warfarin', 'Fluconazole') },
    many: { inputs: [pair('Warfarin', 'aspirin'), pair('aspirin', 'Fluconazole')] },
    options: {
      input: pair('Warfarin', { smiles: 'CN1C=NC2=C1C(=O)N(C)C(=O)N2C' }),
      priority: 'high',
      expires_in: 60,
      metadata: { order: 'A-17' },
    },
  },
  response: {
    200: json(Prediction, 'A terminal prediction; from the cache if `Cache-Status` has `hit`.', [
      'Cache-Status',
      'ETag',
      'Age',
      'Preference-Applied',
      'Millrace-Prediction-Status',
      'Content-Location',
    ]),
    202: json(Prediction, 'Accepted, and not yet terminal: get `Location` after `Retry-After`.', [
      'Location',
      'Retry-After',
      'Cache-Status',
      'Preference-Applied',
      'RateLimit',
      'RateLimit-Policy',
      'Millrace-Prediction-Status',
    ]),
  },
  responseExamples: { 200: { succeeded }, 202: { queued } },
  errors: [
    'image_refused',
    'image_unavailable',
    'invalid_header',
    'model_not_found',
    'version_not_found',
    'idempotency_in_progress',
    'invalid_input',
    'invalid_metadata',
    'idempotency_mismatch',
    'webhook_refused',
    'queue_full',
    'deadline_unreachable',
    'handler_failed',
    'handler_timeout',
    'version_failed',
    'model_unavailable',
    'store_unavailable',
    'clock_wrong',
    'not_cached',
  ],
} satisfies FastifySchema;

export const createPrediction = {
  operationId: 'createPrediction',
  params: ModelParams,
  body: PredictionRequestBody,
  ...create,
} satisfies FastifySchema;

export const createPinnedPrediction = {
  operationId: 'createPinnedPrediction',
  params: VersionParams,
  body: PredictionRequestBody,
  ...create,
  summary: 'Create a prediction of a version or alias',
} satisfies FastifySchema;

export const getPrediction = {
  operationId: 'getPrediction',
  params: IdParams,
  querystring: GetQuery,
  tags: ['Predictions'],
  summary: 'Get a prediction, or wait for its end',
  requestHeaders: ['Prefer', 'If-None-Match'],
  response: {
    200: json(Prediction, 'The prediction. `ETag` is present when terminal, and `Retry-After` otherwise.', [
      'ETag',
      'Cache-Control',
      'Preference-Applied',
      'Retry-After',
      'Millrace-Prediction-Status',
    ]),
    304: noBody('The prediction is terminal, and `If-None-Match` matches.', [
      'ETag',
      'Cache-Control',
      'Preference-Applied',
      'Millrace-Prediction-Status',
    ]),
  },
  responseExamples: { 200: { succeeded, queued } },
  errors: ['invalid_header', 'prediction_not_found', 'store_unavailable'],
} satisfies FastifySchema;

export const watchPrediction = {
  operationId: 'watchPrediction',
  params: IdParams,
  tags: ['Predictions'],
  summary: 'Watch a prediction by server-sent events',
  description:
    'Events `queued` (again when the position changes), `running`, then one of `succeeded`, `failed`, `canceled` and ' +
    '`expired`, after which the stream ends. The data of each event is the prediction. 204 after the last event.',
  requestHeaders: ['Last-Event-ID'],
  response: {
    200: text('text/event-stream', 'Events, as they happen.'),
    204: noBody('`Last-Event-ID` is the last event.'),
  },
  errors: ['prediction_not_found', 'store_unavailable'],
} satisfies FastifySchema;

export const cancelPrediction = {
  operationId: 'cancelPrediction',
  params: IdParams,
  body: NoParameters,
  examples: { none: {} },
  tags: ['Predictions'],
  summary: 'Cancel a prediction',
  description: 'Other callers with the same input still receive the result. A second cancel has no effect.',
  response: { 200: json(Prediction, 'The prediction is canceled.', ['ETag', 'Millrace-Prediction-Status']) },
  responseExamples: { 200: { canceled } },
  errors: ['prediction_not_found', 'prediction_terminal', 'store_unavailable'],
} satisfies FastifySchema;

export const cancelPredictions = {
  operationId: 'cancelPredictionByKey',
  body: CancelBody,
  tags: ['Predictions'],
  summary: 'Cancel the prediction of an Idempotency-Key, or the predictions of a filter',
  description:
    'With `idempotency_key`: for a client that lost the response with the id. A key names the prediction that its request created; 404 for ' +
    'other keys. With `filter`: cancels queued and running predictions, newest first, in steps. A step ends after `limit` predictions or ' +
    'five seconds. Send the same filter with `cursor` until `next` is null.',
  examples: {
    key: { idempotency_key: '8e03978e-40d5-43e8-bc93-6894a57f9324' },
    filter: { filter: { model: 'drug-interaction', created_before: '2026-01-31T12:00:00Z' }, limit: 500 },
  },
  response: {
    200: json(Prediction, 'The prediction of the key is canceled.', ['ETag', 'Millrace-Prediction-Status']),
    202: json(BulkAction, 'The step is complete.'),
  },
  responseExamples: { 200: { canceled }, 202: { step: bulkStep } },
  errors: [
    'prediction_not_found',
    'idempotency_in_progress',
    'prediction_terminal',
    'invalid_cursor',
    'clock_wrong',
    'store_unavailable',
  ],
} satisfies FastifySchema;

export const retryPredictions = {
  operationId: 'retryPredictions',
  body: RetryBody,
  tags: ['Predictions'],
  summary: 'Run the predictions of a filter again',
  description:
    'Without a status in the filter: failed and expired predictions. Newest first, in steps: a step ends after `limit` predictions or five ' +
    'seconds, and where the queue is full. Send the same filter with `cursor` until `next` is null.',
  examples: { failed: { filter: { model: 'drug-interaction', error: 'worker_lost' }, limit: 500 } },
  response: { 202: json(BulkAction, 'The step is complete.') },
  responseExamples: { 202: { step: bulkStep } },
  errors: ['invalid_cursor', 'queue_full', 'clock_wrong', 'store_unavailable'],
} satisfies FastifySchema;

export const retryPrediction = {
  operationId: 'retryPrediction',
  params: IdParams,
  body: NoParameters,
  examples: { none: {} },
  tags: ['Predictions'],
  summary: 'Run a failed, expired or canceled prediction again',
  description: 'The prediction keeps its id, and has the same time until it expires as at first.',
  response: {
    200: json(Prediction, 'The prediction has ended again.', ['ETag', 'Millrace-Prediction-Status']),
    202: PENDING,
  },
  responseExamples: { 200: { succeeded }, 202: { queued } },
  errors: [
    'prediction_not_found',
    'model_not_found',
    'version_not_found',
    'version_failed',
    'prediction_not_terminal',
    'queue_full',
    'model_unavailable',
    'store_unavailable',
    'clock_wrong',
  ],
} satisfies FastifySchema;

export const listPredictions = {
  operationId: 'listPredictions',
  querystring: ListQuery,
  tags: ['Predictions'],
  summary: 'List predictions, newest first',
  description:
    'The predictions have no outputs unless the request has `include=output`. `metadata.KEY=VALUE`, for example ' +
    '`metadata.order=A-17`, filters by metadata. New predictions do not move later pages. A short page can have a next page.',
  response: { 200: json(PredictionList, 'A page.', ['Link']) },
  responseExamples: { 200: { page: listed } },
  errors: ['invalid_cursor', 'store_unavailable'],
} satisfies FastifySchema;
