/** What the OpenAPI document says of the webhook routes. */
import type { Answer, Operation } from './operations.ts';

const answer = (schema: string, description: string, headers: readonly string[] = []): Answer => ({
  description,
  schema,
  headers,
});
const tag = 'Webhooks';
const ofEndpoint = ['endpoint_not_found', 'store_unavailable'] as const;
const ofDelivery = ['delivery_not_found', 'store_unavailable'] as const;

export const WEBHOOK_OPERATIONS: Readonly<Record<string, Operation>> = {
  'POST /v1/webhook-endpoints': {
    id: 'createEndpoint',
    tag,
    summary: 'Register an address that events are sent to',
    examples: { all: { url: 'https://example.com/millrace' } },
    answers: { 201: answer('NewEndpoint', 'With its secret, which is shown this once.', ['Location']) },
    errors: ['webhook_refused', 'store_unavailable'],
  },
  'GET /v1/webhook-endpoints': {
    id: 'listEndpoints',
    tag,
    summary: 'List endpoints',
    answers: { 200: answer('EndpointList', 'A page.') },
    errors: ['invalid_cursor', 'store_unavailable'],
  },
  'GET /v1/webhook-endpoints/:id': {
    id: 'getEndpoint',
    tag,
    summary: 'An endpoint',
    answers: { 200: answer('Endpoint', 'The endpoint.') },
    errors: ofEndpoint,
  },
  'PATCH /v1/webhook-endpoints/:id': {
    id: 'changeEndpoint',
    tag,
    summary: 'Change an endpoint, or enable it again',
    answers: { 200: answer('Endpoint', 'As it is now.') },
    errors: [...ofEndpoint, 'webhook_refused'],
  },
  'DELETE /v1/webhook-endpoints/:id': {
    id: 'removeEndpoint',
    tag,
    summary: 'Remove an endpoint',
    answers: { 204: { description: 'Done.' } },
    errors: ofEndpoint,
  },
  'POST /v1/webhook-endpoints/:id/rotate-secret': {
    id: 'rotateEndpointSecret',
    tag,
    summary: 'Give an endpoint a new secret; for a while both sign',
    answers: { 200: answer('Rotated', 'The new secret, which is shown this once.') },
    errors: ofEndpoint,
  },
  'POST /v1/webhook-endpoints/:id/test': {
    id: 'testEndpoint',
    tag,
    summary: 'Send a test event',
    answers: { 202: answer('Delivery', 'It is on its way.', ['Location']) },
    errors: [...ofEndpoint, 'conflict'],
  },
  'POST /v1/webhook-secret/rotate': {
    id: 'rotateSecret',
    tag,
    summary: 'A new secret for the addresses that predictions name themselves',
    answers: { 200: answer('Rotated', 'The new secret, which is shown this once.') },
    errors: ['store_unavailable'],
  },
  'GET /v1/webhook-deliveries': {
    id: 'listDeliveries',
    tag,
    summary: 'List deliveries with their attempts, newest first',
    answers: { 200: answer('DeliveryList', 'A page.') },
    errors: ['invalid_cursor', 'store_unavailable'],
  },
  'GET /v1/webhook-deliveries/:id': {
    id: 'getDelivery',
    tag,
    summary: 'A delivery with its attempts',
    answers: { 200: answer('Delivery', 'The delivery.') },
    errors: ofDelivery,
  },
  'POST /v1/webhook-deliveries/:id/redeliver': {
    id: 'redeliver',
    tag,
    summary: 'Deliver again',
    answers: { 202: answer('Delivery', 'It is due now.') },
    errors: [...ofDelivery, 'conflict'],
  },
  'POST /v1/webhook-deliveries/redeliver': {
    id: 'redeliverRange',
    tag,
    summary: 'Deliver again what failed within a time',
    examples: { day: { from: '2026-01-31T00:00:00Z', to: '2026-02-01T00:00:00Z' } },
    answers: { 202: answer('Redelivered', 'How many are due now.') },
    errors: ['endpoint_not_found', 'store_unavailable'],
  },
  'GET /v1/events': {
    id: 'listEvents',
    tag,
    summary: 'The feed of events, oldest first, without gaps',
    answers: { 200: answer('EventList', 'From after `after` on.') },
    errors: ['invalid_cursor', 'store_unavailable'],
  },
};
