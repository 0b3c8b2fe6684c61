/** What is answered, as JSON Schema: the components of the OpenAPI document. Nothing is checked against them at run time. */
import { ERRORS } from '@millrace/shared/errors';
import { STATUSES } from '@millrace/shared/predictions/prediction';
import { type TSchema, Type } from 'typebox';

const closed = { additionalProperties: false } as const;
const Time = Type.String({ format: 'date-time' });
const orNull = (schema: TSchema, description?: string): TSchema =>
  Type.Union([schema, Type.Null()], description === undefined ? {} : { description });
const Id = Type.String({ format: 'uuid', description: 'UUIDv7; they sort by time.' });
const Path = Type.String({ description: 'A path on this server.' });
export const ref = (name: string): TSchema => ({ $ref: `#/components/schemas/${name}` }) as unknown as TSchema;

const Fault = Type.Object(
  {
    pointer: Type.String({ description: 'JSON pointer into the body, or the name of a header or parameter.' }),
    message: Type.String(),
    expected: Type.Optional(Type.String()),
    got: Type.Optional(Type.String()),
    suggestions: Type.Optional(Type.Array(Type.String(), { description: 'Near names.' })),
  },
  { ...closed, description: 'One thing that is wrong: where it is, what was expected and what came.' },
);

const Problem = Type.Object(
  {
    type: Type.String({ description: '`urn:millrace:error:` and the code.' }),
    title: Type.String(),
    status: Type.Integer({ minimum: 400, maximum: 599 }),
    code: Type.Enum(Object.keys(ERRORS), { description: 'Stable; docs/errors.md has them all.' }),
    detail: Type.String(),
    retryable: Type.Boolean({ description: 'Whether the same request may succeed later.' }),
    errors: Type.Optional(Type.Array(ref('Fault'))),
    suggestions: Type.Optional(Type.Array(Type.String())),
    request_id: Type.Optional(Type.String({ description: 'Under which the log has it.' })),
  },
  { ...closed, description: 'RFC 9457 problem details.' },
);

const Queue = Type.Object(
  {
    position: Type.Integer({ minimum: 1, description: '1 is next.' }),
    estimated_start_at: Time,
    estimated_completion_at: Time,
  },
  { ...closed, description: 'While it waits, from the measured rate.' },
);

const Ms = Type.Number({ minimum: 0 });

const predictionFields = (output: TSchema) => ({
  id: Id,
  model: Type.String(),
  version: Type.String(),
  status: Type.Union(STATUSES.map((status) => Type.Literal(status))),
  output,
  error: orNull(ref('Problem'), 'Why it did not succeed.'),
  created_at: Time,
  started_at: orNull(Time),
  completed_at: orNull(Time),
  expires_at: orNull(Time, 'After this an answer is of no use.'),
  attempts: Type.Integer({ minimum: 0 }),
  metadata: orNull(Type.Record(Type.String(), Type.Unknown())),
  metrics: Type.Object(
    {
      queue_ms: orNull(Type.Number()),
      inference_ms: orNull(Ms),
      total_ms: orNull(Type.Number()),
      batch_size: orNull(Type.Integer({ minimum: 0 })),
    },
    closed,
  ),
  queue: Type.Optional(ref('Queue')),
  urls: Type.Object({ self: Path, events: Path, cancel: Path }, closed),
});
const Output = Type.Unknown({ description: 'Of the form that the model says; null while there is none.' });
const Prediction = Type.Object(predictionFields(Output), { ...closed, description: 'One request for one answer.' });
const ListedPrediction = Type.Object(predictionFields(Type.Optional(Output)), {
  ...closed,
  description: 'A prediction of a list: with `output` only where the request has `include=output`.',
});

const PredictionList = Type.Object(
  {
    predictions: Type.Array(ref('ListedPrediction')),
    next: orNull(Type.String(), '`cursor` of the next page; null when this is the last.'),
  },
  closed,
);

const modelFields = {
  name: Type.String(),
  description: Type.String(),
  default_version: orNull(Type.String(), 'What a request without a version gets; null while none is ready.'),
  problem: orNull(
    Type.String(),
    'Why the version that serves may not answer; null where nothing is known to be wrong.',
  ),
  aliases: Type.Record(Type.String(), Type.String(), { description: 'Alias to version.' }),
  urls: Type.Object({ self: Path, predictions: Path }, closed),
};
const Model = Type.Object({ ...modelFields, versions: Type.Array(Type.String()) }, closed);
const ModelDetail = Type.Object({ ...modelFields, versions: Type.Array(ref('Version')) }, closed);

const Tensor = Type.Object({
  name: Type.String(),
  dtype: Type.String(),
  shape: Type.Array(Type.Union([Type.Integer({ minimum: 0 }), Type.String()]), {
    description: 'A name, or an empty text, is a free dimension.',
  }),
});

const Version = Type.Object(
  {
    model: Type.String(),
    version: Type.String(),
    state: Type.Enum(['loading', 'ready', 'failed', 'draining', 'retired']),
    reason: orNull(Type.String(), 'Why it failed, is draining, or may not answer though it is ready.'),
    digest: Type.String({ description: 'SHA-256 of all that decides an answer.' }),
    description: Type.String(),
    created_at: Time,
    inputs: Type.Array(Tensor, { description: 'Tensors of the ONNX file.' }),
    outputs: Type.Array(Tensor),
    input_schema: Type.Unknown({ description: 'JSON Schema of `input`; null where it is tensors.' }),
    output_schema: Type.Unknown({ description: 'JSON Schema of `output`; null where it is tensors.' }),
    examples: Type.Array(Type.Unknown(), { description: 'Inputs that work.' }),
    max_batch: Type.Integer({ minimum: 1 }),
    row_independent: Type.Boolean({ description: 'Rows are batched with those of others and cached one by one.' }),
    row_independent_reason: orNull(Type.String(), 'How that was decided; null before a worker has verified it.'),
    deterministic: orNull(
      Type.Boolean(),
      'Equal questions get equal answers: only then are answers cached and shared. Null before a worker has verified it.',
    ),
    deterministic_reason: orNull(Type.String(), 'How that was decided; null before a worker has verified it.'),
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
    parts: Type.Record(Type.String(), Type.String(), { description: '`ok`, or what is wrong.' }),
    degraded: Type.Optional(
      Type.Array(Type.String(), {
        description: 'What impairs a process that is ready, such as a model whose files changed.',
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
