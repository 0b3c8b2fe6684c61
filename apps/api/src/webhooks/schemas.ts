/** Schemas of the webhook routes, for validation, types and the OpenAPI document. */
import { PREDICTION_EVENTS } from '@millrace/shared/webhooks/event';
import { Type } from 'typebox';

const closed = { additionalProperties: false } as const;
const Url = Type.String({ minLength: 1, maxLength: 2_048, description: 'The https URL that receives the events.' });
const Description = Type.String({ maxLength: 500 });
const Events = Type.Array(Type.Unsafe<string>(Type.Union(PREDICTION_EVENTS.map((type) => Type.Literal(type)))), {
  maxItems: 20,
  description: 'Event types. An empty list selects all types.',
});
const Models = Type.Array(Type.String({ minLength: 1, maxLength: 200 }), {
  maxItems: 100,
  description: 'Model names. An empty list selects all models.',
});
const Time = Type.String({ maxLength: 40, description: 'A time such as 2026-01-31T12:00:00Z.' });
const Limit = Type.Integer({
  minimum: 1,
  maximum: 100,
  default: 20,
  description: 'Largest number of items in a page.',
});
const Cursor = Type.String({ maxLength: 100, description: '`next` of the previous page.' });

export const NewEndpoint = Type.Object(
  {
    url: Url,
    description: Type.Optional(Description),
    events: Type.Optional(Events),
    models: Type.Optional(Models),
  },
  { ...closed, $id: 'CreateEndpoint' },
);

export const EndpointChanges = Type.Object(
  {
    url: Type.Optional(Url),
    description: Type.Optional(Description),
    events: Type.Optional(Events),
    models: Type.Optional(Models),
    state: Type.Optional(Type.Union([Type.Literal('enabled'), Type.Literal('disabled')])),
  },
  { ...closed, $id: 'ChangeEndpoint', minProperties: 1 },
);

export const IdParams = Type.Object({ id: Type.String({ maxLength: 64 }) });
export const Page = Type.Object({ limit: Type.Optional(Limit), cursor: Type.Optional(Cursor) }, closed);

export const Rotation = Type.Object(
  {
    overlap: Type.Optional(
      Type.Integer({
        minimum: 0,
        maximum: 604_800,
        default: 86_400,
        description: 'Seconds for which the previous secret also signs.',
      }),
    ),
  },
  closed,
);

export const DELIVERY_STATUSES = ['pending', 'delivered', 'failed', 'canceled'] as const;

export const DeliveryQuery = Type.Object(
  {
    status: Type.Optional(
      Type.Unsafe<(typeof DELIVERY_STATUSES)[number]>(
        Type.Union(DELIVERY_STATUSES.map((status) => Type.Literal(status))),
      ),
    ),
    endpoint: Type.Optional(Type.String({ maxLength: 64, description: 'Id of an endpoint.' })),
    prediction: Type.Optional(Type.String({ maxLength: 64, description: 'Id of a prediction.' })),
    limit: Type.Optional(Limit),
    cursor: Type.Optional(Cursor),
  },
  closed,
);

export const RedeliverRange = Type.Object(
  {
    from: Time,
    to: Type.Optional(Time),
    endpoint: Type.Optional(
      Type.String({ maxLength: 64, description: 'Id of an endpoint. Without an id: all endpoints.' }),
    ),
    status: Type.Optional(
      Type.Union([Type.Literal('failed'), Type.Literal('canceled')], { description: 'Without a status: both.' }),
    ),
  },
  { ...closed, $id: 'RedeliverDeliveries' },
);

export const FeedQuery = Type.Object(
  {
    after: Type.Optional(
      Type.String({
        maxLength: 30,
        description: '`next` of the previous response. Without a cursor: from the start of the feed.',
      }),
    ),
    limit: Type.Optional(Type.Integer({ minimum: 1, maximum: 1_000, default: 100 })),
  },
  closed,
);
