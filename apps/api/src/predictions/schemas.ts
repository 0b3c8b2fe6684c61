/** Parameters and bodies of the routes of predictions. */
import { STATUSES, type Status } from '@millrace/shared/predictions/prediction';
import { PREDICTION_EVENTS } from '@millrace/shared/webhooks/event';
import { Type } from 'typebox';

const closed = { additionalProperties: false } as const;

export const IdParams = Type.Object({ id: Type.String({ maxLength: 64, description: 'Id of a prediction.' }) });

export const GetQuery = Type.Object(
  {
    wait: Type.Optional(
      Type.Integer({ minimum: 0, maximum: 60, description: 'Seconds to hold until it is terminal.' }),
    ),
  },
  closed,
);

export const StatusSchema = Type.Unsafe<Status>(Type.Union(STATUSES.map((status) => Type.Literal(status))));

export const ListQuery = Type.Object(
  {
    model: Type.Optional(Type.String({ minLength: 1, maxLength: 200, description: 'Only those of this model.' })),
    status: Type.Optional(StatusSchema),
    limit: Type.Optional(Type.Integer({ minimum: 1, maximum: 100, default: 20 })),
    cursor: Type.Optional(
      Type.String({ maxLength: 200, description: '`next` of the page before, with the same filters.' }),
    ),
    include: Type.Optional(
      Type.Literal('output', {
        description: 'Each prediction has its `output`. A page then ends where its outputs reach 4 MiB.',
      }),
    ),
  },
  closed,
);

export const PrioritySchema = Type.Union([Type.Literal('low'), Type.Literal('normal'), Type.Literal('high')]);

export const WebhookRequest = Type.Object(
  {
    url: Type.String({ minLength: 1, maxLength: 2_048, description: 'Where the event is sent; https.' }),
    events: Type.Optional(
      // By name, since a misspelt one would never be sent, and nobody would know.
      Type.Array(Type.Unsafe<string>(Type.Union(PREDICTION_EVENTS.map((type) => Type.Literal(type)))), {
        maxItems: 20,
        description: 'Types of event; the terminal ones if absent.',
      }),
    ),
  },
  closed,
);

export const PredictionRequestBody = Type.Object(
  {
    input: Type.Optional(Type.Unknown({ description: 'One input, of the form that the model says.' })),
    inputs: Type.Optional(
      Type.Array(Type.Unknown(), { minItems: 1, description: 'Many inputs, answered as one prediction.' }),
    ),
    webhook: Type.Optional(WebhookRequest),
    priority: Type.Optional(PrioritySchema),
    expires_in: Type.Optional(
      Type.Number({
        exclusiveMinimum: 0,
        maximum: 604_800,
        description: 'Seconds after which an answer is of no use.',
      }),
    ),
    metadata: Type.Optional(
      Type.Record(Type.String(), Type.Unknown(), { description: "The caller's own; given back with the prediction." }),
    ),
  },
  closed,
);
