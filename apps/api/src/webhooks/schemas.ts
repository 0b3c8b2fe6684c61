/** Schemas of the webhook routes, for validation, types and the OpenAPI document. */
import { SELECTIONS } from '@millrace/shared/webhooks/selection';
import { type TSchema, Type } from 'typebox';
import { actionBody } from '../http/action-body.ts';
import { listParameters, orderParameter } from '../http/list.ts';

const closed = { additionalProperties: false } as const;
const Url = Type.String({ minLength: 1, maxLength: 2_048, description: 'The https URL that receives the events.' });
const Description = Type.String({ maxLength: 500 });
const Events = Type.Array(Type.Enum([...SELECTIONS]), {
  minItems: 1,
  maxItems: 20,
  description: 'Event types. `*` selects all types, and `prediction.*` all types of predictions.',
});
const Models = Type.Array(Type.String({ minLength: 1, maxLength: 200 }), {
  maxItems: 100,
  description: 'Model names. An empty list selects all models.',
});
const Time = Type.String({ maxLength: 40, description: 'A time such as 2026-01-31T12:00:00Z.' });

/** A request treats null as absent, and null in a change restores the default. */
const orNull = <T extends TSchema>(schema: T) => Type.Optional(Type.Union([schema, Type.Null()]));

export const NewEndpoint = Type.Object(
  { url: Url, description: orNull(Description), events: orNull(Events), models: orNull(Models) },
  { ...closed, $id: 'CreateEndpoint' },
);

export const EndpointChanges = Type.Object(
  {
    url: Type.Optional(Url),
    description: orNull(Description),
    events: orNull(Events),
    models: orNull(Models),
    status: Type.Optional(Type.Enum(['enabled', 'disabled'])),
  },
  { ...closed, $id: 'ChangeEndpoint', minProperties: 1 },
);

export const IdParams = Type.Object({ id: Type.String({ maxLength: 64 }) });
export const EventParams = Type.Object({ id: Type.String({ maxLength: 64, description: 'Id of an event.' }) });
export const EndpointQuery = Type.Object({ ...listParameters, ...orderParameter }, closed);

export const Rotation = actionBody('RotateSecret', {
  overlap_s: Type.Optional(
    Type.Integer({
      minimum: 0,
      maximum: 604_800,
      default: 86_400,
      description: 'Seconds for which the previous secret also signs.',
    }),
  ),
});

export const DELIVERY_STATUSES = ['pending', 'delivered', 'failed', 'canceled'] as const;

export const DeliveryQuery = Type.Object(
  {
    status: Type.Optional(
      Type.Unsafe<(typeof DELIVERY_STATUSES)[number]>(
        Type.Union(DELIVERY_STATUSES.map((status) => Type.Literal(status))),
      ),
    ),
    endpoint_id: Type.Optional(Type.String({ maxLength: 64, description: 'Id of an endpoint.' })),
    prediction_id: Type.Optional(Type.String({ maxLength: 64, description: 'Id of a prediction.' })),
    created_after: Type.Optional(Time),
    created_before: Type.Optional(Time),
    ...listParameters,
    ...orderParameter,
  },
  closed,
);

export const RedeliverRange = Type.Object(
  {
    filter: Type.Object(
      {
        created_after: Type.Optional(Time),
        created_before: Type.Optional(Time),
        endpoint_id: Type.Optional(
          Type.String({ maxLength: 64, description: 'Id of an endpoint. Without an id: all endpoints.' }),
        ),
        prediction_id: Type.Optional(Type.String({ maxLength: 64, description: 'Id of a prediction.' })),
        status: Type.Optional(Type.Enum(['failed', 'canceled'], { description: 'Without a status: both.' })),
      },
      { ...closed, description: 'At least one filter.' },
    ),
    limit: Type.Optional(
      Type.Integer({
        minimum: 1,
        description: 'The most deliveries of this step. Without a limit: as many as five seconds allow.',
      }),
    ),
    cursor: Type.Optional(
      Type.String({
        minLength: 1,
        maxLength: 1_000,
        description: 'The `next` of the previous step, with the same filter.',
      }),
    ),
  },
  { ...closed, $id: 'RedeliverDeliveries' },
);

export const FeedQuery = Type.Object(
  {
    cursor: Type.Optional(
      Type.String({
        maxLength: 100,
        description: '`next` of the previous response. Without a cursor: from the start of the feed.',
      }),
    ),
    limit: Type.Optional(
      Type.Integer({ minimum: 1, default: 100, description: 'A number above 1000 counts as 1000.' }),
    ),
  },
  closed,
);
