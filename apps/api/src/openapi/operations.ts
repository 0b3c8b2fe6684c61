/** What the OpenAPI document says of each route beyond its schemas; keyed as routes are: `GET /v1/models/:model`. */
import type { ErrorCode } from '@millrace/shared/errors';

export interface Answer {
  description: string;
  /** Name of a component; absent where there is no body. */
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
  /** Bodies that work, as a test sends them. */
  examples?: Readonly<Record<string, unknown>>;
  answers: Readonly<Record<string, Answer>>;
  /** Beyond those that any request can meet. */
  errors?: readonly ErrorCode[];
}

const json = (schema: string, description: string, headers: readonly string[] = []): Answer => ({
  description,
  schema,
  headers,
});
const done: Answer = { description: 'Done.' };
const PENDING = json('Prediction', 'Accepted, and not yet terminal: ask again at `Location` after `Retry-After`.', [
  'Location',
  'Retry-After',
]);
const pair = (drug_a: unknown, drug_b: unknown) => ({ drug_a, drug_b });

const create: Omit<Operation, 'id'> = {
  tag: 'Predictions',
  summary: 'Ask for a prediction',
  description:
    'The body has either `input` or `inputs`. A known answer is 200 at once. Without `Prefer: wait=N` all else is 202 at ' +
    'once; with it, 200 when the answer comes within N seconds. What got a 202 is answered, whatever happens.',
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
  answers: {
    200: json('Prediction', 'A terminal prediction; from the cache if `Cache-Status` says hit.', [
      'Cache-Status',
      'ETag',
      'Age',
      'Preference-Applied',
    ]),
    202: {
      ...PENDING,
      headers: ['Location', 'Retry-After', 'Cache-Status', 'Preference-Applied', 'RateLimit', 'RateLimit-Policy'],
    },
  },
  errors: [
    'invalid_header',
    'model_not_found',
    'version_not_found',
    'idempotency_in_progress',
    'invalid_input',
    'idempotency_mismatch',
    'webhook_refused',
    'queue_full',
    'deadline_unreachable',
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
    summary: 'Ask a version, or what an alias points at',
  },
  'GET /v1/predictions/:id': {
    id: 'getPrediction',
    tag: 'Predictions',
    summary: 'Fetch a prediction, or wait for it',
    requestHeaders: ['Prefer', 'If-None-Match'],
    answers: {
      200: json('Prediction', 'It is terminal.', ['ETag', 'Cache-Control', 'Preference-Applied']),
      202: { ...PENDING, headers: ['Location', 'Retry-After', 'Preference-Applied'] },
      304: {
        description: 'It is terminal, and what you have.',
        headers: ['ETag', 'Cache-Control', 'Preference-Applied'],
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
      '`expired`, after which the stream ends. The data of each is the prediction. 204 when `Last-Event-ID` is the last.',
    requestHeaders: ['Last-Event-ID'],
    answers: {
      200: { description: 'Events, as they happen.', type: 'text/event-stream' },
      204: { description: 'You have had the last event.' },
    },
    errors: ['prediction_not_found', 'store_unavailable'],
  },
  'POST /v1/predictions/:id/cancel': {
    id: 'cancelPrediction',
    tag: 'Predictions',
    summary: 'Cancel a prediction',
    description: 'Others who wait for the same answer still get it. To cancel twice is the same as once.',
    answers: { 200: json('Prediction', 'It is canceled.', ['ETag']) },
    errors: ['prediction_not_found', 'conflict', 'store_unavailable'],
  },
  'POST /v1/predictions/:id/retry': {
    id: 'retryPrediction',
    tag: 'Predictions',
    summary: 'Run a failed, expired or canceled prediction again',
    description: 'It keeps its id, and has as long as it had the first time.',
    answers: { 200: json('Prediction', 'It has ended again.', ['ETag']), 202: PENDING },
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
      'Without outputs, unless `include=output` asks for them. New predictions do not move those of later pages. A page may be ' +
      'short and still have a next one.',
    answers: { 200: json('PredictionList', 'A page.', ['Link']) },
    errors: ['invalid_cursor', 'store_unavailable'],
  },
  'GET /v1/models': {
    id: 'listModels',
    tag: 'Models',
    summary: 'List models',
    answers: { 200: json('ModelList', 'All of them.') },
    errors: ['store_unavailable'],
  },
  'GET /v1/models/:model': {
    id: 'getModel',
    tag: 'Models',
    summary: 'A model and its versions',
    answers: { 200: json('ModelDetail', 'The model.') },
    errors: ['model_not_found', 'store_unavailable'],
  },
  'GET /v1/models/:model/versions/:version': {
    id: 'getVersion',
    tag: 'Models',
    summary: 'A version, by name or alias',
    answers: { 200: json('Version', 'The version.') },
    errors: ['model_not_found', 'version_not_found', 'store_unavailable'],
  },
  'PUT /v1/models/:model/aliases/:alias': {
    id: 'setAlias',
    tag: 'Models',
    summary: 'Point an alias at a version',
    examples: { production: { version: '1' } },
    answers: { 200: json('Model', 'The model, with its aliases.') },
    errors: ['model_not_found', 'version_not_found', 'conflict', 'store_unavailable'],
  },
  'DELETE /v1/models/:model/aliases/:alias': {
    id: 'removeAlias',
    tag: 'Models',
    summary: 'Remove an alias',
    answers: { 204: done },
    errors: ['model_not_found', 'version_not_found', 'store_unavailable'],
  },
  'DELETE /v1/models/:model/cache': {
    id: 'purgeCache',
    tag: 'Models',
    summary: "Purge a model's cached results",
    answers: { 204: done },
    errors: ['model_not_found', 'store_unavailable'],
  },
  'GET /v1/entities/:entity': {
    id: 'searchEntities',
    tag: 'Entities',
    summary: 'Look up entities by part of a name',
    answers: { 200: json('EntityList', 'Names that begin with it first.') },
    errors: ['entity_not_found', 'store_unavailable'],
  },
  'GET /v1/entities/:entity/:key': {
    id: 'getEntity',
    tag: 'Entities',
    summary: 'An entity by key, name or alias',
    answers: { 200: json('Entity', 'The entity.') },
    errors: ['entity_not_found', 'store_unavailable'],
  },
  'GET /healthz': { id: 'getHealth', tag: 'Operations', summary: 'Alive', answers: { 200: json('Health', 'It is.') } },
  'GET /readyz': {
    id: 'getReadiness',
    tag: 'Operations',
    summary: 'Ready to serve',
    answers: { 200: json('Readiness', 'It is.'), 503: json('Readiness', 'A part is not well.') },
  },
  'GET /metrics': {
    id: 'getMetrics',
    tag: 'Operations',
    summary: 'Metrics for Prometheus',
    answers: { 200: { description: "In Prometheus' text format.", type: 'text/plain' } },
  },
  'GET /openapi.json': {
    id: 'getOpenApi',
    tag: 'Operations',
    summary: 'This document',
    answers: { 200: { description: 'OpenAPI 3.1.', type: 'application/json' } },
  },
  'GET /docs': {
    id: 'getDocs',
    tag: 'Operations',
    summary: 'This document, to read',
    answers: { 200: { description: 'A page.', type: 'text/html' } },
  },
};
