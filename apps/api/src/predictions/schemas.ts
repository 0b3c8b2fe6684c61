/** The schemas of the parameters and bodies of the prediction routes. */
import { PREDICTION_EVENTS } from '@millrace/shared/webhooks/event';
import { Type } from 'typebox';
import { listParameters, orderParameter } from '../http/list.ts';
import { WAIT_MAX_S } from '../http/request-headers.ts';

const closed = { additionalProperties: false } as const;

export const IdParams = Type.Object({ id: Type.String({ maxLength: 64, description: 'Id of a prediction.' }) });

const Time = Type.String({ maxLength: 40, description: 'A time such as 2026-01-31T12:00:00Z.' });

export const GetQuery = Type.Object(
  {
    include: Type.Optional(
      Type.Literal('input', {
        description:
          'The prediction has its input in canonical form; null for a succeeded prediction, whose input is not kept.',
      }),
    ),
    wait: Type.Optional(
      Type.Integer({
        minimum: 0,
        'x-cut-at': WAIT_MAX_S,
        description: 'The most seconds to wait until the prediction is terminal. A longer wait is cut to 60 s.',
      }),
    ),
  },
  closed,
);

/** The filters of lists and of actions on many predictions. */
const filters = {
  model: Type.Optional(Type.String({ minLength: 1, maxLength: 200, description: 'Only predictions of this model.' })),
  version: Type.Optional(
    Type.String({ minLength: 1, maxLength: 100, description: 'Only predictions of this version.' }),
  ),
  status: Type.Optional(
    Type.String({
      minLength: 1,
      maxLength: 100,
      description: 'Only predictions with this status, or with one of several statuses, such as `failed,canceled`.',
    }),
  ),
  created_after: Type.Optional(Time),
  created_before: Type.Optional(Time),
  id: Type.Optional(
    Type.String({
      minLength: 1,
      maxLength: 4_000,
      description: 'Only the predictions with these ids: at most 100 ids, separated by commas.',
    }),
  ),
  id_prefix: Type.Optional(
    Type.String({ minLength: 1, maxLength: 64, description: 'Only predictions whose ids begin with this text.' }),
  ),
  error: Type.Optional(
    Type.String({
      pattern: '^[a-z_]{1,60}$',
      description: 'Only predictions that did not succeed, with this `error.code`.',
    }),
  ),
};

/** For example `metadata.order=A-17`. */
const metadataFilters = { '^metadata\\..{1,40}$': Type.String({ maxLength: 500 }) };

export const ListQuery = Type.Object(
  {
    ...filters,
    ...orderParameter,
    ...listParameters,
    include: Type.Optional(
      Type.Unsafe<ListInclude>(
        Type.Enum(['output', 'input', 'input,output', 'output,input'], {
          description:
            '`output`: each prediction has its output. `input`: each prediction has its input in canonical form; null for a ' +
            'succeeded prediction, whose input is not kept. A page ends where its inputs and outputs reach 4 MiB.',
        }),
      ),
    ),
  },
  { ...closed, patternProperties: metadataFilters },
);

/** The most predictions of one step of an action. */
export const ACTION_MAX = 1_000;

const Filter = Type.Object(filters, {
  ...closed,
  patternProperties: metadataFilters,
  minProperties: 1,
  description: 'The filters of the list of predictions. At least one filter.',
});

const step = {
  limit: Type.Optional(
    Type.Integer({
      minimum: 1,
      description: `The most predictions of this step; 100 if absent. A number above ${ACTION_MAX} counts as ${ACTION_MAX}.`,
    }),
  ),
  cursor: Type.Optional(
    Type.String({
      minLength: 1,
      maxLength: 1_000,
      description: 'The `next` of the previous step, with the same filter.',
    }),
  ),
};

export const CancelBody = Type.Object(
  {
    idempotency_key: Type.Optional(
      Type.String({
        minLength: 1,
        maxLength: 300,
        description: 'The `Idempotency-Key` of the request that created the prediction. Not with `filter`.',
      }),
    ),
    filter: Type.Optional(Filter),
    ...step,
  },
  { ...closed, $id: 'CancelPrediction' },
);

export const RetryBody = Type.Object({ filter: Filter, ...step }, { ...closed, $id: 'RetryPredictions' });

type ListInclude = 'output' | 'input' | 'input,output' | 'output,input';

export const PrioritySchema = Type.Union([Type.Literal('low'), Type.Literal('normal'), Type.Literal('high')]);

export const WebhookRequest = Type.Object(
  {
    url: Type.String({ minLength: 1, maxLength: 2_048, description: 'The https address that receives the events.' }),
    events: Type.Optional(
      // A list of names: an event with a misspelled name would never be sent, and the caller would not notice.
      Type.Array(Type.Unsafe<string>(Type.Union(PREDICTION_EVENTS.map((type) => Type.Literal(type)))), {
        maxItems: 20,
        description: 'The types of events to send; the terminal types if absent.',
      }),
    ),
  },
  { ...closed, $id: 'PredictionWebhook' },
);

/** A form that is sent as multipart/form-data: see prediction-form.ts. */
export const PredictionForm = Type.Object(
  {
    request: Type.Optional(
      Type.String({
        description: 'JSON text of an object with the other members of a prediction, such as `metadata`.',
      }),
    ),
  },
  {
    ...closed,
    $id: 'CreatePredictionForm',
    patternProperties: {
      '^.{1,100}$': Type.String({
        format: 'binary',
        description:
          'The member of `input` with the name of the part. A file becomes a data URL, and any other part a text.',
      }),
    },
  },
);

export const PredictionRequestBody = Type.Object(
  {
    input: Type.Optional(Type.Unknown({ description: 'One input, in the form that the model expects.' })),
    inputs: Type.Optional(
      Type.Array(Type.Unknown(), {
        minItems: 1,
        description: 'Several inputs, for one prediction with a list of outputs.',
      }),
    ),
    on_error: Type.Optional(
      Type.Unsafe<'fail' | 'row'>(
        Type.Union([Type.Literal('fail'), Type.Literal('row')], {
          description:
            'Only with `inputs`. `row`: an invalid or failing row has null in `outputs` and its error in `row_errors`, and the ' +
            'other rows succeed. `fail`, the default: the first such row ends the request or the prediction.',
        }),
      ),
    ),
    webhook: Type.Optional(WebhookRequest),
    priority: Type.Optional(PrioritySchema),
    expires_in: Type.Optional(
      Type.Number({
        exclusiveMinimum: 0,
        maximum: 604_800,
        description: 'Seconds until the deadline: the prediction expires if it has not ended by then.',
      }),
    ),
    metadata: Type.Optional(
      Type.Record(Type.String(), Type.Unknown(), {
        description:
          'A flat map of the caller, which the prediction has too: at most 50 strings, with keys of at most 40 characters and ' +
          'values of at most 500 characters.',
      }),
    ),
  },
  { ...closed, $id: 'CreatePrediction' },
);
