/** The texts of the OpenAPI document for each route, beside the schemas. The keys are routes, such as `GET /v1/models/:model`. */
import type { ErrorCode } from '@millrace/shared/errors';

export interface ResponseText {
  description: string;
  /** The name of a component; absent for a response without a body. */
  schema?: string;
  /** `application/json` if absent. */
  type?: string;
  headers?: readonly string[];
}

export interface Operation {
  id: string;
  tag: string;
  summary: string;
  description?: string;
  requestHeaders?: readonly string[];
  /** Valid bodies. A test sends each of them. */
  examples?: Readonly<Record<string, unknown>>;
  responses: Readonly<Record<string, ResponseText>>;
  /** The errors beyond the errors of every route. */
  errors?: readonly ErrorCode[];
}

const json = (schema: string, description: string, headers: readonly string[] = []): ResponseText => ({
  description,
  schema,
  headers,
});
const DONE: ResponseText = { description: 'Done.' };
const PENDING = json('Prediction', 'Accepted, and not yet terminal: get `Location` after `Retry-After`.', [
  'Location',
  'Retry-After',
  'Millrace-Prediction-Status',
]);
const pair = (drug_a: unknown, drug_b: unknown) => ({ drug_a, drug_b });

const create: Omit<Operation, 'id'> = {
  tag: 'Predictions',
  summary: 'Create a prediction',
  description:
    'The body has either `input` or `inputs`. A cached result is 200 at once. Otherwise the response is 202 at once, or with ' +
    '`Prefer: wait=N` 200 when the prediction ends within N seconds. A prediction with a 202 always reaches a final status.',
  requestHeaders: ['Prefer', 'Cache-Control', 'Idempotency-Key'],
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
  responses: {
    200: json('Prediction', 'A terminal prediction; from the cache if `Cache-Status` has `hit`.', [
      'Cache-Status',
      'ETag',
      'Age',
      'Preference-Applied',
      'Millrace-Prediction-Status',
      'Content-Location',
    ]),
    202: {
      ...PENDING,
      headers: [
        'Location',
        'Retry-After',
        'Cache-Status',
        'Preference-Applied',
        'RateLimit',
        'RateLimit-Policy',
        'Millrace-Prediction-Status',
      ],
    },
  },
  errors: [
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
    'model_unavailable',
    'store_unavailable',
    'clock_wrong',
    'not_cached',
  ],
};

export const OPERATIONS: Readonly<Record<string, Operation>> = {
  'POST /v1/models/:model/predictions': { id: 'createPrediction', ...create },
  'POST /v1/models/:model/versions/:version/predictions': {
    id: 'createPinnedPrediction',
    ...create,
    summary: 'Create a prediction of a version or alias',
  },
  'GET /v1/predictions/:id': {
    id: 'getPrediction',
    tag: 'Predictions',
    summary: 'Get a prediction, or wait for its end',
    requestHeaders: ['Prefer', 'If-None-Match'],
    responses: {
      200: json('Prediction', 'The prediction. `ETag` is present when terminal, and `Retry-After` otherwise.', [
        'ETag',
        'Cache-Control',
        'Preference-Applied',
        'Retry-After',
        'Millrace-Prediction-Status',
      ]),
      304: {
        description: 'The prediction is terminal, and `If-None-Match` matches.',
        headers: ['ETag', 'Cache-Control', 'Preference-Applied', 'Millrace-Prediction-Status'],
      },
    },
    errors: ['invalid_header', 'prediction_not_found', 'store_unavailable'],
  },
  'GET /v1/predictions/:id/events': {
    id: 'watchPrediction',
    tag: 'Predictions',
    summary: 'Watch a prediction by server-sent events',
    description:
      'Events `queued` (again when the position changes), `running`, then one of `succeeded`, `failed`, `canceled` and ' +
      '`expired`, after which the stream ends. The data of each event is the prediction. 204 after the last event.',
    requestHeaders: ['Last-Event-ID'],
    responses: {
      200: { description: 'Events, as they happen.', type: 'text/event-stream' },
      204: { description: '`Last-Event-ID` is the last event.' },
    },
    errors: ['prediction_not_found', 'store_unavailable'],
  },
  'POST /v1/predictions/:id/cancel': {
    id: 'cancelPrediction',
    tag: 'Predictions',
    summary: 'Cancel a prediction',
    description: 'Other callers with the same input still receive the result. A second cancel has no effect.',
    responses: { 200: json('Prediction', 'The prediction is canceled.', ['ETag', 'Millrace-Prediction-Status']) },
    errors: ['prediction_not_found', 'conflict', 'store_unavailable'],
  },
  'POST /v1/predictions/cancel': {
    id: 'cancelPredictionByKey',
    tag: 'Predictions',
    summary: 'Cancel the prediction of an Idempotency-Key',
    description:
      'For a client that lost the response with the id. A key names the prediction that its request created; 404 for other keys.',
    examples: { key: { idempotency_key: '8e03978e-40d5-43e8-bc93-6894a57f9324' } },
    responses: { 200: json('Prediction', 'The prediction is canceled.', ['ETag', 'Millrace-Prediction-Status']) },
    errors: ['prediction_not_found', 'idempotency_in_progress', 'conflict', 'store_unavailable'],
  },
  'POST /v1/predictions/:id/retry': {
    id: 'retryPrediction',
    tag: 'Predictions',
    summary: 'Run a failed, expired or canceled prediction again',
    description: 'The prediction keeps its id, and has the same time until it expires as at first.',
    responses: {
      200: json('Prediction', 'The prediction has ended again.', ['ETag', 'Millrace-Prediction-Status']),
      202: PENDING,
    },
    errors: [
      'prediction_not_found',
      'model_not_found',
      'version_not_found',
      'conflict',
      'queue_full',
      'model_unavailable',
      'store_unavailable',
      'clock_wrong',
    ],
  },
  'GET /v1/predictions': {
    id: 'listPredictions',
    tag: 'Predictions',
    summary: 'List predictions, newest first',
    description:
      'The predictions have no outputs unless the request has `include=output`. `metadata.KEY=VALUE`, for example ' +
      '`metadata.order=A-17`, filters by metadata. New predictions do not move later pages. A short page can have a next page.',
    responses: { 200: json('PredictionList', 'A page.', ['Link']) },
    errors: ['invalid_cursor', 'store_unavailable'],
  },
  'GET /v1/models': {
    id: 'listModels',
    tag: 'Models',
    summary: 'List models',
    responses: { 200: json('ModelList', 'All models.') },
    errors: ['store_unavailable'],
  },
  'GET /v1/models/:model': {
    id: 'getModel',
    tag: 'Models',
    summary: 'A model and its versions',
    responses: { 200: json('ModelDetail', 'The model.') },
    errors: ['model_not_found', 'store_unavailable'],
  },
  'GET /v1/models/:model/versions/:version': {
    id: 'getVersion',
    tag: 'Models',
    summary: 'A version, by name or alias',
    responses: { 200: json('Version', 'The version.') },
    errors: ['model_not_found', 'version_not_found', 'store_unavailable'],
  },
  'PUT /v1/models/:model/aliases/:alias': {
    id: 'setAlias',
    tag: 'Models',
    summary: 'Point an alias at a version',
    examples: { production: { version: '1' } },
    responses: { 200: json('Model', 'The model, with its aliases.') },
    errors: ['model_not_found', 'version_not_found', 'conflict', 'store_unavailable'],
  },
  'DELETE /v1/models/:model/aliases/:alias': {
    id: 'removeAlias',
    tag: 'Models',
    summary: 'Remove an alias',
    responses: { 204: DONE },
    errors: ['model_not_found', 'version_not_found', 'store_unavailable'],
  },
  'DELETE /v1/models/:model/cache': {
    id: 'purgeCache',
    tag: 'Models',
    summary: "Purge a model's cached results",
    responses: { 204: DONE },
    errors: ['model_not_found', 'store_unavailable'],
  },
  'GET /v1/entities/:entity': {
    id: 'searchEntities',
    tag: 'Entities',
    summary: 'Look up entities by part of a name',
    responses: { 200: json('EntityList', 'The entities; names that begin with `q` first.') },
    errors: ['entity_not_found', 'store_unavailable'],
  },
  'GET /v1/entities/:entity/:key': {
    id: 'getEntity',
    tag: 'Entities',
    summary: 'An entity by key, name or alias',
    responses: { 200: json('Entity', 'The entity.') },
    errors: ['entity_not_found', 'store_unavailable'],
  },
  'GET /healthz': {
    id: 'getHealth',
    tag: 'Operations',
    summary: 'Liveness',
    responses: { 200: json('Health', 'The process is alive.') },
  },
  'GET /readyz': {
    id: 'getReadiness',
    tag: 'Operations',
    summary: 'Readiness',
    responses: { 200: json('Readiness', 'The process is ready.'), 503: json('Readiness', 'A part has a fault.') },
  },
  'GET /metrics': {
    id: 'getMetrics',
    tag: 'Operations',
    summary: 'Metrics for Prometheus',
    responses: { 200: { description: "Metrics in Prometheus' text format.", type: 'text/plain' } },
  },
  'GET /openapi.json': {
    id: 'getOpenApi',
    tag: 'Operations',
    summary: 'This document',
    responses: { 200: { description: 'OpenAPI 3.1.', type: 'application/json' } },
  },
  'GET /docs': {
    id: 'getDocs',
    tag: 'Operations',
    summary: 'This document as a page',
    responses: { 200: { description: 'A page.', type: 'text/html' } },
  },
};
