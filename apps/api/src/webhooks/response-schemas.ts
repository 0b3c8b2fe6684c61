/** The responses of the webhook routes, as JSON Schema. */
import { type TSchema, Type } from 'typebox';
import { orNull, Time } from '../http/response-schemas.ts';

const Id = Type.String({ format: 'uuid' });
const Secret = Type.String({ description: '`whsec_` and base64; shown only in this response.' });

const endpoint = {
  id: Id,
  url: Type.String(),
  description: Type.String(),
  events: Type.Array(Type.String()),
  models: Type.Array(Type.String()),
  state: Type.Enum(['enabled', 'disabled'], { $id: 'EndpointState', type: 'string' }),
  reason: orNull(Type.String()),
  failing_since: orNull(Time),
  created_at: Time,
  updated_at: Time,
  urls: Type.Object({ self: Type.String(), deliveries: Type.String(), test: Type.String() }),
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
  { $id: 'Attempt' },
);

const listOf = ($id: string, name: string, item: TSchema) =>
  Type.Object({ [name]: Type.Array(item), next: orNull(Type.String()) }, { $id });

export const Endpoint = Type.Object(endpoint, { $id: 'Endpoint' });
export const NewEndpoint = Type.Object({ ...endpoint, secret: Secret }, { $id: 'NewEndpoint' });
export const EndpointList = listOf('EndpointList', 'endpoints', Endpoint);

export const Rotated = Type.Object(
  {
    secret: Secret,
    previous_signs_until: Type.String({
      format: 'date-time',
      description: 'The previous secret signs until this time.',
    }),
  },
  { $id: 'Rotated', description: 'The new secret, and the time until which the previous secret signs.' },
);

export const Delivery = Type.Object(
  {
    id: Id,
    event: Type.Object({ id: Id, type: Type.String({ description: 'Extensible.' }) }),
    endpoint: orNull(Id),
    url: Type.String(),
    prediction: orNull(Id),
    status: Type.Enum(['pending', 'delivered', 'failed', 'canceled'], { $id: 'DeliveryStatus', type: 'string' }),
    next_attempt_at: orNull(Time),
    created_at: Time,
    completed_at: orNull(Time),
    attempts: Type.Array(Attempt),
    urls: Type.Object({ self: Type.String(), redeliver: Type.String() }),
  },
  { $id: 'Delivery' },
);
export const DeliveryList = listOf('DeliveryList', 'deliveries', Delivery);
export const Redelivered = Type.Object({ redelivered: Type.Integer({ minimum: 0 }) }, { $id: 'Redelivered' });

const Event = Type.Object(
  {
    id: Id,
    cursor: Type.String(),
    type: Type.String({ description: 'Extensible.' }),
    timestamp: Time,
    data: Type.Unknown(),
  },
  { $id: 'Event', description: 'The event as the webhook sends it.' },
);
export const EventList = Type.Object(
  { events: Type.Array(Event), next: Type.String(), has_more: Type.Boolean() },
  { $id: 'EventList' },
);
