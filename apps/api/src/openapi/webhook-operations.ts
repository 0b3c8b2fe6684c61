/** The texts of the OpenAPI document for the webhook routes. */
import type { Operation, ResponseText } from './operations.ts';

const json = (schema: string, description: string, headers: readonly string[] = []): ResponseText => ({
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
    summary: 'Register an endpoint that receives events',
    examples: { all: { url: 'https://example.com/millrace' } },
    responses: { 201: json('NewEndpoint', 'The endpoint with its secret, which is shown only once.', ['Location']) },
    errors: ['webhook_refused', 'store_unavailable'],
  },
  'GET /v1/webhook-endpoints': {
    id: 'listEndpoints',
    tag,
    summary: 'List endpoints',
    responses: { 200: json('EndpointList', 'A page.') },
    errors: ['invalid_cursor', 'store_unavailable'],
  },
  'GET /v1/webhook-endpoints/:id': {
    id: 'getEndpoint',
    tag,
    summary: 'An endpoint',
    responses: { 200: json('Endpoint', 'The endpoint.') },
    errors: ofEndpoint,
  },
  'PATCH /v1/webhook-endpoints/:id': {
    id: 'changeEndpoint',
    tag,
    summary: 'Change an endpoint, or enable it again',
    responses: { 200: json('Endpoint', 'The endpoint after the change.') },
    errors: [...ofEndpoint, 'webhook_refused'],
  },
  'DELETE /v1/webhook-endpoints/:id': {
    id: 'removeEndpoint',
    tag,
    summary: 'Remove an endpoint',
    responses: { 204: { description: 'Done.' } },
    errors: ofEndpoint,
  },
  'POST /v1/webhook-endpoints/:id/rotate-secret': {
    id: 'rotateEndpointSecret',
    tag,
    summary: 'Rotate the secret of an endpoint; for a while both secrets sign',
    responses: { 200: json('Rotated', 'The new secret, which is shown only once.') },
    errors: ofEndpoint,
  },
  'POST /v1/webhook-endpoints/:id/test': {
    id: 'testEndpoint',
    tag,
    summary: 'Send a test event',
    responses: { 202: json('Delivery', 'The delivery is scheduled.', ['Location']) },
    errors: [...ofEndpoint, 'conflict'],
  },
  'POST /v1/webhook-secret/rotate': {
    id: 'rotateSecret',
    tag,
    summary: 'Rotate the secret for the webhook URLs of predictions',
    responses: { 200: json('Rotated', 'The new secret, which is shown only once.') },
    errors: ['store_unavailable'],
  },
  'GET /v1/webhook-deliveries': {
    id: 'listDeliveries',
    tag,
    summary: 'List deliveries with their attempts, newest first',
    responses: { 200: json('DeliveryList', 'A page.') },
    errors: ['invalid_cursor', 'store_unavailable'],
  },
  'GET /v1/webhook-deliveries/:id': {
    id: 'getDelivery',
    tag,
    summary: 'A delivery with its attempts',
    responses: { 200: json('Delivery', 'The delivery.') },
    errors: ofDelivery,
  },
  'POST /v1/webhook-deliveries/:id/redeliver': {
    id: 'redeliver',
    tag,
    summary: 'Deliver again',
    responses: { 202: json('Delivery', 'The delivery is due now.') },
    errors: [...ofDelivery, 'conflict'],
  },
  'POST /v1/webhook-deliveries/redeliver': {
    id: 'redeliverRange',
    tag,
    summary: 'Deliver again the failed deliveries of a period',
    examples: { day: { from: '2026-01-31T00:00:00Z', to: '2026-02-01T00:00:00Z' } },
    responses: { 202: json('Redelivered', 'The number of deliveries that are due now.') },
    errors: ['endpoint_not_found', 'store_unavailable'],
  },
  'GET /v1/events': {
    id: 'listEvents',
    tag,
    summary: 'The feed of events, oldest first, without gaps',
    responses: { 200: json('EventList', 'The events after `after`.') },
    errors: ['invalid_cursor', 'store_unavailable'],
  },
};
