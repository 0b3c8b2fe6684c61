/** The components of the OpenAPI document: responses as JSON Schema. The API itself does not check responses; tests do. */
import { ERRORS } from '@millrace/shared/errors';
import { CACHE_USES, STATUSES } from '@millrace/shared/predictions/prediction';
import { type TSchema, Type } from 'typebox';

const closed = { additionalProperties: false } as const;
const Time = Type.String({ format: 'date-time' });
const orNull = (schema: TSchema, description?: string): TSchema =>
  Type.Union([schema, Type.Null()], description === undefined ? {} : { description });
const Id = Type.String({ format: 'uuid', description: 'UUIDv7, which sorts by time.' });
const Path = Type.String({ description: 'A path on this server; a URL if `PUBLIC_URL` is set.' });
export const ref = (name: string): TSchema => ({ $ref: `#/components/schemas/${name}` }) as unknown as TSchema;

const Fault = Type.Object(
  {
    pointer: Type.String({ description: 'JSON pointer into the body, or the name of a header or parameter.' }),
    message: Type.String(),
    expected: Type.Optional(Type.String()),
    got: Type.Optional(Type.String()),
    suggestions: Type.Optional(Type.Array(Type.String(), { description: 'Similar names.' })),
  },
  { ...closed, description: 'One fault: its place, the expected form and the received value.' },
);

const Problem = Type.Object(
  {
    type: Type.String({ description: '`urn:millrace:error:` and the code.' }),
    title: Type.String(),
    status: Type.Integer({ minimum: 400, maximum: 599 }),
    code: Type.Enum(Object.keys(ERRORS), { description: 'Stable; docs/errors.md lists all codes.' }),
    detail: Type.String(),
    retryable: Type.Boolean({ description: 'Whether the same request may succeed later.' }),
    errors: Type.Optional(Type.Array(ref('Fault'))),
    suggestions: Type.Optional(Type.Array(Type.String())),
    prediction_id: Type.Optional(
      Type.String({
        description: 'The prediction that the error concerns, or that may exist although the request failed.',
      }),
    ),
    request_id: Type.Optional(Type.String({ description: 'The id of the request in the log of the server.' })),
  },
  { ...closed, description: 'RFC 9457 problem details.' },
);

const Queue = Type.Object(
  {
    position: Type.Integer({ minimum: 1, description: '1 is next.' }),
    estimated_start_at: Time,
    estimated_completion_at: Time,
  },
  { ...closed, description: 'Present while the prediction waits; estimated from the measured rate.' },
);

const Ms = Type.Number({ minimum: 0 });

const predictionFields = (outputs: Record<'input' | 'inputs' | 'output' | 'outputs', TSchema>) => ({
  id: Id,
  model: Type.String(),
  version: Type.String(),
  digest: Type.String({ description: 'The digest of the version that serves the prediction.' }),
  status: Type.Union(STATUSES.map((status) => Type.Literal(status))),
  rows: orNull(Type.Integer({ minimum: 0 }), 'The number of rows; null for some predictions of 0.1.0.'),
  ...outputs,
  error: orNull(ref('Problem'), 'The reason if the prediction did not succeed.'),
  cache: orNull(
    Type.Enum(CACHE_USES),
    'How the prediction used the cache; `Cache-Status` states the same for the response.',
  ),
  priority: Type.Enum(['low', 'normal', 'high']),
  created_at: Time,
  started_at: orNull(Time),
  completed_at: orNull(Time),
  expires_at: orNull(Time, 'The time after which the result is not needed.'),
  attempts: Type.Integer({ minimum: 0 }),
  metadata: orNull(Type.Record(Type.String(), Type.Unknown())),
  metrics: Type.Object(
    {
      wait_ms: orNull(Type.Number(), 'From the request to the start of the run.'),
      run_ms: orNull(Ms, 'The run of the model.'),
      total_ms: orNull(Type.Number(), 'From the request to the end.'),
      run_rows: orNull(Type.Integer({ minimum: 0 }), 'The rows of the run, also of other predictions.'),
    },
    closed,
  ),
  queue: orNull(ref('Queue'), 'Present while the prediction waits.'),
  webhook: orNull(
    Type.Object({ url: Type.String(), events: orNull(Type.Array(Type.String())) }, closed),
    'The webhook of the request.',
  ),
  urls: Type.Object(
    {
      self: Path,
      events: Path,
      cancel: orNull(Path, 'Null for a prediction that has ended.'),
      retry: orNull(Path, 'Null unless the prediction failed, expired or was canceled.'),
    },
    closed,
  ),
});
const Output = Type.Unknown({
  description: 'The output of `input`, in the form of the model; null before the success, and for `inputs`.',
});
const Outputs = orNull(
  Type.Array(Type.Unknown()),
  'The outputs of `inputs` in the same order; null before the success, and for `input`.',
);
const inputs = {
  input: Type.Optional(
    Type.Unknown({ description: 'With `include=input`: the canonical form of `input`; null after a success.' }),
  ),
  inputs: Type.Optional(
    orNull(Type.Array(Type.Unknown()), 'With `include=input`: the canonical form of `inputs`; null after a success.'),
  ),
};
const Prediction = Type.Object(predictionFields({ ...inputs, output: Output, outputs: Outputs }), {
  ...closed,
  description: 'One request for the output of a model.',
});
const listedOutputs = { ...inputs, output: Type.Optional(Output), outputs: Type.Optional(Outputs) };
const ListedPrediction = Type.Object(predictionFields(listedOutputs), {
  ...closed,
  description: 'A prediction of a list: with `output` and `outputs` only where the request has `include=output`.',
});

const PredictionList = Type.Object(
  {
    predictions: Type.Array(ref('ListedPrediction')),
    next: orNull(Type.String(), '`cursor` of the next page; null on the last page.'),
  },
  closed,
);

const modelFields = {
  name: Type.String(),
  description: Type.String(),
  default_version: orNull(Type.String(), 'The version for requests without a version; null while no version is ready.'),
  problem: orNull(Type.String(), 'The reason why the serving version may fail; null without a known fault.'),
  aliases: Type.Record(Type.String(), Type.String(), { description: 'Alias to version.' }),
  urls: Type.Object({ self: Path, predictions: Path }, closed),
};
const Model = Type.Object({ ...modelFields, versions: Type.Array(Type.String()) }, closed);
const ModelDetail = Type.Object({ ...modelFields, versions: Type.Array(ref('Version')) }, closed);

const Tensor = Type.Object({
  name: Type.String(),
  dtype: Type.String(),
  shape: Type.Array(Type.Union([Type.Integer({ minimum: 0 }), Type.String()]), {
    description: 'A name or an empty string is a free dimension.',
  }),
});

const Version = Type.Object(
  {
    model: Type.String(),
    version: Type.String(),
    state: Type.Enum(['loading', 'ready', 'failed', 'draining', 'retired']),
    reason: orNull(Type.String(), 'The reason for the state, or for possible failures of a ready version.'),
    digest: Type.String({ description: 'SHA-256 of everything that determines a result.' }),
    description: Type.String(),
    created_at: Time,
    inputs: Type.Array(Tensor, { description: 'Tensors of the ONNX file.' }),
    outputs: Type.Array(Tensor),
    input_schema: Type.Unknown({ description: 'JSON Schema of `input`; null for raw tensors.' }),
    output_schema: Type.Unknown({ description: 'JSON Schema of `output`; null for raw tensors.' }),
    examples: Type.Array(Type.Unknown(), { description: 'Valid inputs.' }),
    max_run_rows: Type.Integer({ minimum: 1, description: '`max_batch` of model.json.' }),
    row_independent: Type.Boolean({
      description: 'Rows are batched with rows of other requests, and each row is cached.',
    }),
    row_independent_reason: orNull(
      Type.String(),
      'How the worker decided; null before a worker has verified the version.',
    ),
    deterministic: orNull(
      Type.Boolean(),
      'Equal inputs give equal results: only then are results cached and shared. Null before a worker has verified the version.',
    ),
    deterministic_reason: orNull(
      Type.String(),
      'How the worker decided; null before a worker has verified the version.',
    ),
    timeout_ms: Type.Integer({ minimum: 1 }),
    priority: Type.Enum(['low', 'normal', 'high']),
    cache: Type.Object(
      { enabled: Type.Boolean(), ttl_s: Type.Number(), scope: Type.Enum(['tenant', 'public']) },
      closed,
    ),
  },
  closed,
);

const Entity = Type.Object(
  {
    key: Type.String(),
    name: Type.String(),
    aliases: Type.Array(Type.String()),
    attributes: Type.Record(Type.String(), Type.Unknown()),
  },
  closed,
);

const Readiness = Type.Object(
  {
    status: Type.Enum(['ready', 'degraded', 'not ready']),
    parts: Type.Record(Type.String(), Type.String(), { description: '`ok`, or the fault.' }),
    degraded: Type.Optional(
      Type.Array(Type.String(), {
        description: 'The faults of a process that is ready all the same, such as a model whose files changed.',
      }),
    ),
  },
  closed,
);

export const COMPONENTS: Readonly<Record<string, TSchema>> = {
  Fault,
  Problem,
  Queue,
  Prediction,
  ListedPrediction,
  PredictionList,
  Model,
  ModelDetail,
  ModelList: Type.Object({ models: Type.Array(ref('Model')) }, closed),
  Version,
  Entity,
  EntityList: Type.Object({ entities: Type.Array(ref('Entity')) }, closed),
  Health: Type.Object({ status: Type.Literal('ok') }, closed),
  Readiness,
};
