/** Examples of the responses of the webhook routes, for the OpenAPI document. */
import { API_VERSION } from '@millrace/shared/predictions/event-constants';

const endpointId = 'we_0f9a1c52b7e84d1d9a6f0c3e5b7a8d21';
const deliveryId = 'whd_0197c7f05b1c7a529d0e3f6f0f6d2c12';
const predictionId = 'pred_0197c7f05b1c7a529d0e3f6f0f6d2c11';
const eventId = '0197c7f0-5b1c-7a52-9d0e-3f6f0f6d2c13';
const self = `/v1/webhook-endpoints/${endpointId}`;
const delivery = `/v1/webhook-deliveries/${deliveryId}`;
const at = (time: string): string => `2026-12-01T${time}Z`;

const secret = 'whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD';

export const endpoint = {
  id: endpointId,
  url: 'https://example.com/millrace',
  description: '',
  events: ['*'],
  models: [],
  unknown_models: [],
  status: 'enabled',
  reason: null,
  detail: null,
  failing_since_at: null,
  created_at: at('07:00:00.000'),
  updated_at: at('07:00:00.000'),
  urls: {
    self,
    deliveries: `/v1/webhook-deliveries?endpoint_id=${endpointId}`,
    test: `${self}/test`,
    rotate_secret: `${self}/secret/rotate`,
  },
};
export const newEndpoint = { ...endpoint, secret };

export const rotated = { secret, previous_signs_until_at: at('08:00:00.000').replace('12-01', '12-02') };
export const secretState = { configured: true, previous_signs_until_at: null };

const delivered = {
  id: deliveryId,
  event: { id: eventId, type: 'prediction.succeeded' },
  endpoint_id: endpointId,
  url: endpoint.url,
  prediction_id: predictionId,
  status: 'delivered',
  next_attempt_at: null,
  created_at: at('08:00:00.016'),
  completed_at: at('08:00:00.140'),
  attempts: [
    { number: 1, started_at: at('08:00:00.020'), latency_ms: 118.2, http_status: 204, error: null, reply: '' },
  ],
  urls: { self: delivery, redeliver: `${delivery}/redeliver` },
};
export const deliveredOnce: unknown = delivered;
export const due = {
  ...delivered,
  status: 'pending',
  next_attempt_at: at('08:00:00.016'),
  completed_at: null,
  attempts: [],
};

export const redelivered = { matched: 12, done: 12, next: null };

/** A list with one item and without a next page. */
export const page = (item: unknown) => ({ data: [item], next: null, has_more: false });

export const event = {
  id: eventId,
  cursor: 'WzQ3MTJd',
  type: 'prediction.succeeded',
  timestamp: at('08:00:00.016'),
  api_version: API_VERSION,
  tenant: 'default',
  data: {
    id: predictionId,
    model: 'drug-interaction',
    version: '1',
    status: 'succeeded',
    opening: 0,
    error: null,
    created_at: at('08:00:00.000'),
    completed_at: at('08:00:00.016'),
    metadata: { order: 'A-17' },
    url: `/v1/predictions/${predictionId}`,
  },
};

export const events = { data: [event], next: 'WzQ3MTJd', has_more: false };
