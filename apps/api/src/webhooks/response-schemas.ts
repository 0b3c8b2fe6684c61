/** The responses of the webhook routes, as JSON Schema. */
import { Type } from 'typebox';
import { extensible, listOf, orNull, Path, Time } from '../http/response-schemas.ts';
import { EventData, eventFields } from './event-schemas.ts';

const idOf = (prefix: string) => Type.String({ pattern: `^${prefix}_[0-9a-f]{32}$` });
const Secret = Type.String({ description: '`whsec_` and base64; shown only in this response.' });

const endpoint = {
  id: idOf('we'),
  url: Type.String(),
  description: Type.String(),
  events: Type.Array(Type.String(), {
    description: '`*` selects all types, and `prediction.*` all types of predictions.',
  }),
  models: Type.Array(Type.String(), { description: 'Empty for all models.' }),
  unknown_models: Type.Array(Type.String(), { description: 'The names of `models` that no model has now.' }),
  status: extensible(['enabled', 'disabled'], { $id: 'EndpointStatus' }),
  reason: orNull(
    Type.String(),
    'The reason of a disabled endpoint: `disabled_by_owner`, `gone`, `failing` or `unknown`. Extensible.',
  ),
  detail: orNull(Type.String(), 'The reason as a sentence.'),
  failing_since_at: orNull(Time, 'The first failure since the last success.'),
  created_at: Time,
  updated_at: Time,
  urls: Type.Object({
    self: Path,
    deliveries: Path,
    test: orNull(Path, 'Null while the endpoint is disabled.'),
    rotate_secret: Path,
  }),
};

const Attempt = Type.Object(
  {
    number: Type.Integer({ minimum: 1 }),
    started_at: Time,
    latency_ms: orNull(Type.Number()),
    http_status: orNull(Type.Integer(), 'Null for an attempt without a response.'),
    error: orNull(Type.Object({ code: Type.String({ description: 'Extensible.' }) })),
    reply: orNull(Type.String()),
  },
  { $id: 'Attempt' },
);

export const Endpoint = Type.Object(endpoint, { $id: 'Endpoint' });
export const NewEndpoint = Type.Object({ ...endpoint, secret: Secret }, { $id: 'NewEndpoint' });
export const EndpointList = listOf('EndpointList', Endpoint);

export const Rotated = Type.Object(
  {
    secret: Secret,
    previous_signs_until_at: Type.String({
      format: 'date-time',
      description: 'The previous secret signs until this time.',
    }),
  },
  { $id: 'Rotated', description: 'The new secret, and the time until which the previous secret signs.' },
);

export const SecretState = Type.Object(
  {
    configured: Type.Boolean({ description: 'Whether the tenant has a secret.' }),
    previous_signs_until_at: orNull(Time, 'Null without a previous secret that still signs.'),
  },
  { $id: 'SecretState' },
);

export const Delivery = Type.Object(
  {
    id: idOf('whd'),
    event: Type.Object({ id: eventFields.id, type: Type.String({ description: 'Extensible.' }) }),
    endpoint_id: orNull(idOf('we'), 'Null where a prediction named the URL.'),
    url: Type.String(),
    prediction_id: orNull(idOf('pred')),
    status: extensible(['pending', 'delivered', 'failed', 'canceled'], { $id: 'DeliveryStatus' }),
    next_attempt_at: orNull(Time),
    created_at: Time,
    completed_at: orNull(Time),
    attempts: Type.Array(Attempt),
    urls: Type.Object({ self: Path, redeliver: Path }),
  },
  { $id: 'Delivery' },
);
export const DeliveryList = listOf('DeliveryList', Delivery);
export const Redelivered = Type.Object(
  {
    matched: Type.Integer({ minimum: 0, description: 'The deliveries that the step reached.' }),
    done: Type.Integer({ minimum: 0, description: 'The deliveries that are due now.' }),
    next: orNull(Type.String(), '`cursor` of the next step; null after the last step.'),
  },
  { $id: 'Redelivered' },
);

export const FeedEvent = Type.Object(
  {
    ...eventFields,
    cursor: Type.String({ description: 'The feed continues after this event.' }),
    data: EventData,
  },
  { $id: 'Event', description: 'The body of the webhook, with its cursor in the feed.' },
);
export const EventList = Type.Object(
  {
    data: Type.Array(FeedEvent),
    next: Type.String({ description: 'Never null: the next read of the feed continues here.' }),
    has_more: Type.Boolean(),
  },
  { $id: 'EventList' },
);
