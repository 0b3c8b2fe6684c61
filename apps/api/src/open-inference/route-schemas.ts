/**
 * The schemas of the routes of the Open Inference Protocol, for the OpenAPI document. The protocol defines the names and shapes. The routes
 * validate their bodies themselves.
 */
import type { FastifySchema } from 'fastify';
import { type TSchema, Type } from 'typebox';
import { OPTIONAL_BODY } from '../http/action-body.ts';
import { json, noBody } from '../http/documentation.ts';
import { InferRequest } from './request.ts';

const tags = ['Open Inference Protocol'];

/** No limit of length: the catalog decides whether a name exists. */
const model = Type.String({ description: 'Name of a model.' });
const version = Type.String({ description: 'A version, or an alias of a version.' });
const ModelParams = Type.Object({ model });
const PinnedParams = Type.Object({ model, version });

const ServerMetadata = Type.Object(
  { name: Type.String(), version: Type.String(), extensions: Type.Array(Type.String()) },
  { $id: 'ServerMetadata' },
);
const ServerLive = Type.Object({ live: Type.Boolean() }, { $id: 'ServerLive' });
const ServerReady = Type.Object({ ready: Type.Boolean() }, { $id: 'ServerReady' });
const ModelReady = Type.Object({ name: Type.String(), ready: Type.Boolean() }, { $id: 'ModelReady' });

const TensorMetadata = Type.Object(
  {
    name: Type.String(),
    datatype: Type.String({ description: 'Such as `FP32`, `INT64` or `BYTES`.' }),
    shape: Type.Array(Type.Integer({ minimum: -1, description: '-1 is a free dimension.' })),
  },
  { $id: 'TensorMetadata' },
);
const ModelMetadata = Type.Object(
  {
    name: Type.String(),
    versions: Type.Array(Type.String()),
    platform: Type.String(),
    inputs: Type.Array(TensorMetadata),
    outputs: Type.Array(TensorMetadata),
    parameters: Type.Object({
      execution_providers: Type.Array(Type.String(), {
        description: 'The execution providers of onnxruntime that run the version now, such as `cpu`.',
      }),
    }),
  },
  { $id: 'ModelMetadata' },
);

const Duration = Type.Object(
  { count: Type.Integer({ minimum: 0 }), ns: Type.Integer({ minimum: 0 }) },
  { $id: 'InferenceDuration' },
);
const durations = [
  'success',
  'fail',
  'queue',
  'compute_input',
  'compute_infer',
  'compute_output',
  'cache_hit',
  'cache_miss',
];
const ModelStatistics = Type.Object(
  {
    name: Type.String(),
    version: Type.String(),
    last_inference: Type.Integer({ minimum: 0, description: 'Unix milliseconds; 0 before the first inference.' }),
    inference_count: Type.Integer({ minimum: 0 }),
    execution_count: Type.Integer({ minimum: 0 }),
    inference_stats: Type.Object(Object.fromEntries(durations.map((name) => [name, Duration]))),
    batch_stats: Type.Array(Type.Unknown()),
  },
  { $id: 'ModelStatistics' },
);
const Statistics = Type.Object({ model_stats: Type.Array(ModelStatistics) }, { $id: 'InferenceStatistics' });

const RepositoryIndex = Type.Array(
  Type.Object(
    {
      name: Type.String(),
      version: Type.String(),
      state: Type.String({ description: '`READY`, `LOADING`, `UNLOADING` or `UNAVAILABLE`.' }),
      reason: Type.String(),
    },
    { $id: 'RepositoryModel' },
  ),
  { $id: 'RepositoryIndex' },
);
const RepositoryIndexRequest = Type.Object(
  { ready: Type.Optional(Type.Boolean({ description: 'Only models that are ready.' })) },
  { $id: 'RepositoryIndexRequest', [OPTIONAL_BODY]: true },
);
const RepositoryRequest = Type.Object(
  { parameters: Type.Optional(Type.Object({}, { description: 'Files are refused.' })) },
  { $id: 'RepositoryRequest', [OPTIONAL_BODY]: true },
);

const OutputTensor = Type.Object(
  {
    name: Type.String(),
    datatype: Type.String(),
    shape: Type.Array(Type.Integer({ minimum: 0 })),
    data: Type.Optional(Type.Array(Type.Unknown(), { description: 'The elements in row-major order.' })),
    parameters: Type.Optional(
      Type.Object(
        { binary_data_size: Type.Optional(Type.Integer({ minimum: 0 })) },
        { description: 'Of binary data.' },
      ),
    ),
  },
  { $id: 'InferenceOutput' },
);
const InferResponse = Type.Object(
  {
    model_name: Type.String(),
    model_version: Type.String(),
    id: Type.Optional(Type.String({ description: 'The `id` of the request.' })),
    outputs: Type.Array(OutputTensor),
  },
  { $id: 'InferenceResponse' },
);

const bytes = {
  schema: Type.String({
    format: 'binary',
    description: 'JSON, and then the bytes of tensors: the extension `binary_tensor_data`.',
  }),
};
const bodyOf = (schema: TSchema) => ({ 'application/json': { schema } });

const metadata = { name: 'millrace', version: '0.1.0', extensions: ['binary_tensor_data'] };
const tensor = { name: 'x', datatype: 'FP32', shape: [-1, 2] };
const text = { name: 'input', datatype: 'BYTES', shape: [1] };
const input = '{"drug_a":"Warfarin","drug_b":"Fluconazole"}';
const none = { count: 0, ns: 0 };
const once = { count: 1, ns: 11_400_000 };
const statistics = {
  model_stats: [
    {
      name: 'drug-interaction',
      version: '1',
      last_inference: 1_796_112_000_000,
      inference_count: 1,
      execution_count: 1,
      inference_stats: Object.fromEntries(
        durations.map((name) => [name, ['success', 'compute_infer', 'cache_miss'].includes(name) ? once : none]),
      ),
      batch_stats: [],
    },
  ],
};

export const getServerMetadata = {
  operationId: 'getServerMetadata',
  tags,
  summary: 'The server and the extensions that it has',
  response: { 200: json(ServerMetadata, 'The server.') },
  responseExamples: { 200: { server: metadata } },
} satisfies FastifySchema;

export const getServerLive = {
  operationId: 'getServerLive',
  tags,
  summary: 'Liveness',
  response: { 200: json(ServerLive, 'The process is alive.') },
  responseExamples: { 200: { live: { live: true } } },
} satisfies FastifySchema;

export const getServerReady = {
  operationId: 'getServerReady',
  tags,
  summary: 'Readiness',
  response: { 200: json(ServerReady, 'The process is ready.'), 503: json(ServerReady, 'A part has a fault.') },
  responseExamples: { 200: { ready: { ready: true } }, 503: { away: { ready: false } } },
} satisfies FastifySchema;

export const getModelMetadata = {
  operationId: 'ModelMetadata',
  tags,
  summary: 'The inputs and outputs of a model',
  response: { 200: json(ModelMetadata, 'The model.') },
  responseExamples: {
    200: {
      model: {
        name: 'echo',
        versions: ['1'],
        platform: 'onnxruntime_onnx',
        inputs: [tensor],
        outputs: [tensor],
        parameters: { execution_providers: ['cpu'] },
      },
    },
  },
} satisfies FastifySchema;

export const getModelReady = {
  operationId: 'ModelReady',
  tags,
  summary: 'Whether a model is ready',
  response: { 200: json(ModelReady, 'The model is ready.'), 503: json(ModelReady, 'The model is not ready.') },
  responseExamples: {
    200: { ready: { name: 'drug-interaction', ready: true } },
    503: { loading: { name: 'drug-interaction', ready: false } },
  },
} satisfies FastifySchema;

export const getModelStatistics = {
  operationId: 'ModelStatistics',
  tags,
  summary: "The caller's inferences of a model over this protocol, in one API process",
  response: { 200: json(Statistics, 'The statistics of each version.') },
  responseExamples: { 200: { statistics } },
} satisfies FastifySchema;

export const getStatistics = {
  ...getModelStatistics,
  operationId: 'getAllModelStatistics',
  summary: "The caller's inferences of all models over this protocol, in one API process",
} satisfies FastifySchema;

export const infer = {
  operationId: 'Model',
  tags,
  summary: 'Run an inference, and wait for its end',
  documentedBody: { ...bodyOf(InferRequest), 'application/octet-stream': bytes },
  examples: { handler: { inputs: [{ ...text, data: [input] }] } },
  response: {
    200: {
      ...json(InferResponse, 'The outputs.', ['Cache-Status']),
      content: { 'application/json': { schema: InferResponse }, 'application/octet-stream': bytes },
    },
  },
  responseExamples: {
    200: {
      handler: {
        model_name: 'drug-interaction',
        model_version: '1',
        outputs: [{ ...text, name: 'output', data: ['{"interaction":true,"probability":0.98}'] }],
      },
    },
  },
} satisfies FastifySchema;

export const indexRepository = {
  operationId: 'indexRepository',
  tags,
  summary: 'List the versions of all models',
  documentedBody: bodyOf(RepositoryIndexRequest),
  examples: { ready: { ready: true } },
  response: { 200: json(RepositoryIndex, 'The versions.') },
  responseExamples: { 200: { ready: [{ name: 'drug-interaction', version: '1', state: 'READY', reason: '' }] } },
} satisfies FastifySchema;

const repository = {
  params: ModelParams,
  tags,
  documentedBody: bodyOf(RepositoryRequest),
  examples: { none: {} },
  response: { 200: noBody('Done.') },
} satisfies FastifySchema;

export const loadModel = {
  ...repository,
  operationId: 'loadModel',
  summary: 'Return a model to service',
} satisfies FastifySchema;

export const unloadModel = {
  ...repository,
  operationId: 'unloadModel',
  summary: 'Take a model out of service',
} satisfies FastifySchema;

/** The schema of a route that exists for a model and for one version of the model. */
export function schemaOf(path: string, verb: string, schema: FastifySchema & { operationId: string }): FastifySchema {
  const isPinned = path.includes(':version');
  const operationId = `${verb}${isPinned ? 'Version' : ''}${schema.operationId}`;
  return { ...schema, operationId, params: isPinned ? PinnedParams : ModelParams };
}
