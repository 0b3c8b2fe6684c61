/** The responses of the prediction routes, as JSON Schema. The API itself does not check responses; tests do. */
import { CACHE_USES, STATUSES } from '@millrace/shared/predictions/prediction';
import { type TSchema, Type } from 'typebox';
import { extensible, listOf, orNull, Path, PredictionError, Time } from '../http/response-schemas.ts';

const Id = Type.String({ pattern: '^pred_[0-9a-f]{32}$', description: 'Opaque. Ids sort by the time of creation.' });

const PredictionStatus = extensible(STATUSES, {
  $id: 'PredictionStatus',
  description: 'Extensible: treat an unknown status as not terminal only while `completed_at` is null.',
});
export const Priority = extensible(['low', 'normal', 'high'], { $id: 'Priority' });
const CacheUse = extensible(CACHE_USES, { $id: 'CacheUse' });

const Queue = Type.Object(
  {
    position: Type.Integer({ minimum: 1, description: '1 is next.' }),
    estimated_start_at: Time,
    estimated_completion_at: Time,
  },
  { $id: 'Queue', description: 'Present while the prediction waits; estimated from the measured rate.' },
);

const Ms = Type.Number({ minimum: 0 });

const predictionFields = (outputs: Record<'input' | 'inputs' | 'output' | 'outputs' | 'row_errors', TSchema>) => ({
  id: Id,
  model: Type.String(),
  version: Type.String(),
  digest: Type.String({ description: 'The digest of the version that serves the prediction.' }),
  status: PredictionStatus,
  rows: orNull(Type.Integer({ minimum: 0 }), 'The number of rows; null for some predictions of 0.1.0.'),
  ...outputs,
  error: orNull(PredictionError, 'The reason if the prediction did not succeed.'),
  cache: orNull(CacheUse, 'How the prediction used the cache; `Cache-Status` states the same for the response.'),
  priority: Priority,
  created_at: Time,
  started_at: orNull(Time),
  completed_at: orNull(Time),
  expires_at: orNull(Time, 'The time after which the result is not needed.'),
  attempt: Type.Integer({ minimum: 0, description: 'The number of executions by workers so far; 0 before the first.' }),
  metadata: orNull(Type.Record(Type.String(), Type.Unknown())),
  metrics: Type.Object({
    wait_ms: orNull(Type.Number(), 'From the request to the start of the run.'),
    run_ms: orNull(Ms, 'The run of the model.'),
    total_ms: orNull(Type.Number(), 'From the request to the end.'),
    run_rows: orNull(Type.Integer({ minimum: 0 }), 'The rows of the run, also of other predictions.'),
  }),
  queue: orNull(Queue, 'Present while the prediction waits.'),
  webhook: orNull(
    Type.Object({ url: Type.String(), events: orNull(Type.Array(Type.String())) }),
    'The webhook of the request.',
  ),
  urls: Type.Object({
    self: Path,
    events: Path,
    cancel: orNull(Path, 'Null for a prediction that has ended.'),
    retry: orNull(Path, 'Null unless the prediction failed, expired or was canceled.'),
  }),
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
// Predictions that earlier releases cached do not have this member.
const RowErrors = Type.Optional(
  orNull(
    Type.Array(Type.Object({ row: Type.Integer({ minimum: 0 }), error: PredictionError })),
    'With `"on_error": "row"` and success: the errors of the rows that are null in `outputs`. Otherwise null.',
  ),
);
const TimelineEvent = Type.Object(
  {
    at: Time,
    type: extensible(['accepted', 'queued', 'taken', 'batched', 'computed', 'recorded', 'delivered'], {}),
    attempt: orNull(Type.Integer({ minimum: 1 }), 'The attempt, for `taken`, `batched` and `computed`.'),
    worker_id: orNull(Type.String(), 'The worker of the attempt.'),
    rows: orNull(Type.Integer({ minimum: 1 }), 'The rows of the run, also of other predictions.'),
    shared: orNull(Type.Boolean(), 'Whether the attempt is of an equal prediction, whose result this prediction has.'),
  },
  { $id: 'TimelineEvent' },
);
const TraceId = Type.Optional(
  orNull(
    Type.String({ pattern: '^[0-9a-f]{32}$' }),
    'Only in the response of `GET /v1/predictions/{id}`: the id of the trace of the request; null without a trace.',
  ),
);
const Timeline = Type.Optional(
  Type.Array(TimelineEvent, {
    description:
      'Only in the response of `GET /v1/predictions/{id}`: the events in their order. An event whose time is not known is left out.',
  }),
);
export const Prediction = Type.Object(
  {
    ...predictionFields({ ...inputs, output: Output, outputs: Outputs, row_errors: RowErrors }),
    trace_id: TraceId,
    timeline: Timeline,
  },
  {
    $id: 'Prediction',
    description: 'One request for the output of a model.',
  },
);
const listedOutputs = {
  ...inputs,
  output: Type.Optional(Output),
  outputs: Type.Optional(Outputs),
  row_errors: RowErrors,
};
const ListedPrediction = Type.Object(predictionFields(listedOutputs), {
  $id: 'ListedPrediction',
  description: 'A prediction of a list: with `output` and `outputs` only where the request has `include=output`.',
});

export const BulkAction = Type.Object(
  {
    matched: Type.Integer({ minimum: 0, description: 'Predictions that the step reached.' }),
    done: Type.Integer({
      minimum: 0,
      description: 'Predictions that the step changed. The others changed in the meantime, or cannot be changed.',
    }),
    next: orNull(Type.String(), '`cursor` of the next step; null after the last step.'),
  },
  { $id: 'BulkAction' },
);

export const PredictionList = listOf('PredictionList', ListedPrediction);
