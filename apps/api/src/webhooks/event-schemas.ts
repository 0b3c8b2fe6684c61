/** The events as they are sent: the part `webhooks` of the OpenAPI document. */
import { API_VERSION } from '@millrace/shared/predictions/event-constants';
import { type TSchema, Type } from 'typebox';
import { orNull, PredictionError, Time } from '../http/response-schemas.ts';

const EventId = Type.String({ format: 'uuid', description: 'The `webhook-id`.' });

export const eventFields = {
  id: EventId,
  type: Type.String({ description: 'Extensible.' }),
  timestamp: Time,
  api_version: Type.String({ description: 'The version of the contract by which the event is written.' }),
  tenant: Type.String(),
};

const url = Type.String({ description: 'The address of the resource in the API; a path if `PUBLIC_URL` is not set.' });

function optional(fields: Readonly<Record<string, TSchema>>, without: readonly string[]): Record<string, TSchema> {
  const kept = Object.entries(fields).filter(([name]) => !without.includes(name));
  return Object.fromEntries(kept.map(([name, schema]) => [name, Type.Optional(schema)]));
}

const EventError = Type.Object(
  {
    ...optional(PredictionError.properties, ['type', 'code', 'retryable']),
    type: Type.String(),
    code: PredictionError.properties.code,
  },
  { $id: 'EventError', description: 'The problem of the prediction. A large problem has only `type` and `code`.' },
);

const PredictionEventData = Type.Object(
  {
    id: orNull(Type.String({ pattern: '^pred_[0-9a-f]{32}$' })),
    model: orNull(Type.String()),
    version: orNull(Type.String()),
    status: Type.String({ description: 'The status with which the prediction ended. Extensible.' }),
    opening: Type.Integer({ minimum: 0, description: '0 for the request, and one more for each retry.' }),
    error: orNull(EventError),
    created_at: orNull(Time),
    completed_at: Time,
    metadata: orNull(Type.Record(Type.String(), Type.Unknown())),
    url,
  },
  { $id: 'PredictionEventData', description: 'The prediction without its output, which `url` has.' },
);

const EndpointEventData = Type.Object(
  {
    id: Type.String({ pattern: '^we_[0-9a-f]{32}$' }),
    endpoint_url: Type.String(),
    reason: Type.Optional(Type.String({ description: 'The reason of a disabled endpoint. Extensible.' })),
    detail: Type.Optional(Type.String({ description: 'The reason as a sentence.' })),
    url,
  },
  { $id: 'EndpointEventData' },
);

/** The data of any event, as the feed lists it. An event of a later version can have other members. */
export const EventData = Type.Object(
  {
    id: orNull(Type.String(), 'The id of the prediction or of the endpoint.'),
    url,
    ...optional(PredictionEventData.properties, ['id', 'url']),
    ...optional(EndpointEventData.properties, ['id', 'url']),
  },
  { $id: 'EventData', description: 'The members depend on `type`: see `webhooks` of this document.' },
);

const PredictionEvent = Type.Object(
  { ...eventFields, data: PredictionEventData },
  { $id: 'PredictionEvent', description: 'A prediction has ended.' },
);
const EndpointEvent = Type.Object(
  { ...eventFields, data: EndpointEventData },
  { $id: 'EndpointEvent', description: 'An event of a webhook endpoint.' },
);

const head = {
  id: '0197c7f0-5b1c-7a52-9d0e-3f6f0f6d2c11',
  timestamp: '2026-12-01T08:00:00.016Z',
  api_version: API_VERSION,
  tenant: 'default',
};
const failure = {
  type: 'urn:millrace:error:inference_timeout',
  title: 'The model took too long',
  status: 500,
  code: 'inference_timeout',
  detail: 'The run exceeded 30000 ms.',
};

function predictionEvent(status: string, error: object | null = null) {
  const id = 'pred_0197c7f05b1c7a529d0e3f6f0f6d2c11';
  const times = { created_at: '2026-12-01T08:00:00.000Z', completed_at: '2026-12-01T08:00:00.016Z' };
  const data = {
    ...{ id, model: 'drug-interaction', version: '1', status, opening: 0, error, ...times },
    ...{ metadata: { order: 'A-17' }, url: `https://millrace.example/v1/predictions/${id}` },
  };
  return { ...head, type: `prediction.${status}`, data };
}

const endpointId = 'we_0f9a1c52b7e84d1d9a6f0c3e5b7a8d21';
const testEvent = {
  ...head,
  type: 'webhook_endpoint.test',
  data: {
    id: endpointId,
    endpoint_url: 'https://example.com/millrace',
    url: `https://millrace.example/v1/webhook-endpoints/${endpointId}`,
  },
};

const header = (name: string, description: string) => ({
  ...{ in: 'header', name, required: true, description },
  schema: { type: 'string' },
});
const parameters = [
  header('webhook-id', 'The id of the event, equal for all attempts.'),
  header('webhook-timestamp', 'Unix seconds of the attempt.'),
  header('webhook-signature', 'Signatures of Standard Webhooks 1.0, separated by spaces.'),
];

function sent(type: string, schema: TSchema, example: unknown) {
  const [noun = '', verb = ''] = type.split('.');
  const name = [...noun.split('_'), verb].map((part) => part.charAt(0).toUpperCase() + part.slice(1)).join('');
  return {
    operationId: `on${name}`,
    tags: ['Webhooks'],
    summary: `The event \`${type}\``,
    description: 'Verify the signature over the received bytes. Any response with a status of 2xx accepts the event.',
    parameters,
    requestBody: {
      required: true,
      content: { 'application/json': { schema, examples: { event: { value: example } } } },
    },
    responses: {
      '2XX': { description: 'The event is delivered.' },
      '410': { description: 'The endpoint is disabled.' },
      default: { description: 'The attempt failed: a later attempt follows.' },
    },
  };
}

/** The requests to a receiver, by the type of the event. */
export const WEBHOOKS = {
  'prediction.succeeded': sent('prediction.succeeded', PredictionEvent, predictionEvent('succeeded')),
  'prediction.failed': sent('prediction.failed', PredictionEvent, predictionEvent('failed', failure)),
  'prediction.canceled': sent(
    'prediction.canceled',
    PredictionEvent,
    predictionEvent('canceled', { ...failure, code: 'canceled' }),
  ),
  'prediction.expired': sent(
    'prediction.expired',
    PredictionEvent,
    predictionEvent('expired', { ...failure, code: 'expired' }),
  ),
  'webhook_endpoint.test': sent('webhook_endpoint.test', EndpointEvent, testEvent),
};
