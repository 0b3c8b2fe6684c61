/** The responses of the webhook routes, as JSON Schema. */
import { type TSchema, Type } from 'typebox';
import { ref } from './schemas.ts';

const closed = { additionalProperties: false } as const;
const Time = Type.String({ format: 'date-time' });
const orNull = (schema: TSchema): TSchema => Type.Union([schema, Type.Null()]);
const Id = Type.String({ format: 'uuid' });
const Secret = Type.String({ description: '`whsec_` and base64; shown only in this response.' });

const endpoint = {
  id: Id,
  url: Type.String(),
  description: Type.String(),
  events: Type.Array(Type.String()),
  models: Type.Array(Type.String()),
  state: Type.Enum(['enabled', 'disabled']),
  reason: orNull(Type.String()),
  failing_since: orNull(Time),
  created_at: Time,
  updated_at: Time,
  urls: Type.Object({ self: Type.String(), deliveries: Type.String(), test: Type.String() }, closed),
};

const Attempt = Type.Object(
  {
    number: Type.Integer({ minimum: 1 }),
    at: Time,
    latency_ms: orNull(Type.Number()),
    status: orNull(Type.Integer()),
    error: orNull(Type.String()),
    reply: orNull(Type.String()),
  },
  closed,
);

const list = (name: string, item: string) =>
  Type.Object({ [name]: Type.Array(ref(item)), next: orNull(Type.String()) }, closed);

export const WEBHOOK_COMPONENTS: Readonly<Record<string, TSchema>> = {
  Endpoint: Type.Object(endpoint, closed),
  NewEndpoint: Type.Object({ ...endpoint, secret: Secret }, closed),
  EndpointList: list('endpoints', 'Endpoint'),
  Rotated: Type.Object(
    { secret: Secret },
    { description: 'The new secret, and the time until which the previous secret signs.' },
  ),
  Delivery: Type.Object(
    {
      id: Id,
      event: Type.Object({ id: Id, type: Type.String() }, closed),
      endpoint: orNull(Id),
      url: Type.String(),
      prediction: orNull(Id),
      status: Type.Enum(['pending', 'delivered', 'failed', 'canceled']),
      next_attempt_at: orNull(Time),
      created_at: Time,
      completed_at: orNull(Time),
      attempts: Type.Array(Attempt),
      urls: Type.Object({ self: Type.String(), redeliver: Type.String() }, closed),
    },
    closed,
  ),
  DeliveryList: list('deliveries', 'Delivery'),
  Redelivered: Type.Object({ redelivered: Type.Integer({ minimum: 0 }) }, closed),
  Event: Type.Object(
    { id: Id, cursor: Type.String(), type: Type.String(), data: Type.Unknown() },
    { description: 'The event as the webhook sends it.' },
  ),
  EventList: Type.Object({ events: Type.Array(ref('Event')), next: Type.String(), has_more: Type.Boolean() }, closed),
};
