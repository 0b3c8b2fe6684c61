/** The schemas of the webhook routes: parameters, bodies, responses and texts. */
import type { FastifySchema } from 'fastify';
import { NoParameters } from '../http/action-body.ts';
import { DONE, json, resource } from '../http/documentation.ts';
import * as examples from './response-examples.ts';
import {
  NewEndpoint as CreatedEndpoint,
  Delivery,
  DeliveryList,
  Endpoint,
  EndpointList,
  EventList,
  FeedEvent,
  Redelivered,
  Rotated,
  SecretState,
} from './response-schemas.ts';
import {
  DeliveryQuery,
  EndpointChanges,
  EndpointQuery,
  EventParams,
  FeedQuery,
  IdParams,
  NewEndpoint,
  RedeliverRange,
  Rotation,
} from './schemas.ts';

const tags = ['Webhooks'];
const ofEndpoint = ['endpoint_not_found', 'store_unavailable'] as const;
const ofDelivery = ['delivery_not_found', 'store_unavailable'] as const;

export const createEndpoint = {
  operationId: 'createEndpoint',
  body: NewEndpoint,
  tags,
  summary: 'Register an endpoint that receives events',
  examples: { all: { url: 'https://example.com/millrace' } },
  response: { 201: json(CreatedEndpoint, 'The endpoint with its secret, which is shown only once.', ['Location']) },
  responseExamples: { 201: { endpoint: examples.newEndpoint } },
  errors: ['webhook_refused', 'store_unavailable'],
} satisfies FastifySchema;

export const listEndpoints = {
  operationId: 'listEndpoints',
  querystring: EndpointQuery,
  tags,
  summary: 'List endpoints, newest first',
  response: { 200: json(EndpointList, 'A page.', ['Link']) },
  responseExamples: { 200: { endpoints: examples.page(examples.endpoint) } },
  errors: ['invalid_cursor', 'store_unavailable'],
} satisfies FastifySchema;

export const getEndpoint = {
  operationId: 'getEndpoint',
  params: IdParams,
  tags,
  summary: 'An endpoint',
  requestHeaders: ['If-None-Match'],
  response: resource(Endpoint, 'The endpoint.'),
  responseExamples: { 200: { endpoint: examples.endpoint } },
  errors: ofEndpoint,
} satisfies FastifySchema;

export const changeEndpoint = {
  operationId: 'changeEndpoint',
  params: IdParams,
  body: EndpointChanges,
  examples: { failures: { events: ['prediction.failed'] }, enable: { status: 'enabled' } },
  tags,
  summary: 'Change an endpoint, or enable it again',
  requestHeaders: ['If-Match'],
  response: { 200: json(Endpoint, 'The endpoint after the change.', ['ETag']) },
  responseExamples: { 200: { endpoint: examples.endpoint } },
  errors: [...ofEndpoint, 'webhook_refused', 'precondition_failed'],
} satisfies FastifySchema;

export const removeEndpoint = {
  operationId: 'removeEndpoint',
  params: IdParams,
  tags,
  summary: 'Remove an endpoint',
  requestHeaders: ['If-Match'],
  response: { 204: DONE },
  errors: [...ofEndpoint, 'precondition_failed'],
} satisfies FastifySchema;

export const rotateEndpointSecret = {
  operationId: 'rotateEndpointSecret',
  params: IdParams,
  body: Rotation,
  examples: { atOnce: { overlap_s: 0 } },
  tags,
  summary: 'Rotate the secret of an endpoint; for a while both secrets sign',
  response: { 200: json(Rotated, 'The new secret, which is shown only once.') },
  responseExamples: { 200: { rotated: examples.rotated } },
  errors: ofEndpoint,
} satisfies FastifySchema;

export const testEndpoint = {
  operationId: 'testEndpoint',
  params: IdParams,
  body: NoParameters,
  examples: { none: {} },
  tags,
  summary: 'Send a test event',
  response: { 202: json(Delivery, 'The delivery is scheduled.', ['Location']) },
  responseExamples: { 202: { delivery: examples.due } },
  errors: [...ofEndpoint, 'endpoint_disabled'],
} satisfies FastifySchema;

export const getSecret = {
  operationId: 'getSecret',
  tags,
  summary: 'Whether the tenant has a secret for the webhook URLs of predictions',
  requestHeaders: ['If-None-Match'],
  response: resource(SecretState, 'The times of the secret, never the secret.'),
  responseExamples: { 200: { secret: examples.secretState } },
  errors: ['store_unavailable'],
} satisfies FastifySchema;

export const rotateSecret = {
  operationId: 'rotateSecret',
  body: Rotation,
  examples: { overlap: { overlap_s: 3_600 } },
  tags,
  summary: 'Rotate the secret for the webhook URLs of predictions',
  response: { 200: json(Rotated, 'The new secret, which is shown only once.') },
  responseExamples: { 200: { rotated: examples.rotated } },
  errors: ['store_unavailable'],
} satisfies FastifySchema;

export const listDeliveries = {
  operationId: 'listDeliveries',
  querystring: DeliveryQuery,
  tags,
  summary: 'List deliveries with their attempts, newest first',
  response: { 200: json(DeliveryList, 'A page.', ['Link']) },
  responseExamples: { 200: { deliveries: examples.page(examples.deliveredOnce) } },
  errors: ['invalid_cursor', 'store_unavailable'],
} satisfies FastifySchema;

export const getDelivery = {
  operationId: 'getDelivery',
  params: IdParams,
  tags,
  summary: 'A delivery with its attempts',
  requestHeaders: ['If-None-Match'],
  response: resource(Delivery, 'The delivery.'),
  responseExamples: { 200: { delivery: examples.deliveredOnce } },
  errors: ofDelivery,
} satisfies FastifySchema;

export const redeliverDelivery = {
  operationId: 'redeliverDelivery',
  params: IdParams,
  body: NoParameters,
  examples: { none: {} },
  tags,
  summary: 'Deliver again',
  response: { 202: json(Delivery, 'The delivery is due now.') },
  responseExamples: { 202: { delivery: examples.due } },
  errors: [...ofDelivery, 'endpoint_disabled'],
} satisfies FastifySchema;

export const redeliverDeliveries = {
  operationId: 'redeliverDeliveries',
  body: RedeliverRange,
  tags,
  summary: 'Deliver again the failed deliveries of a filter',
  description: 'Oldest first, in steps. Send the same filter with `cursor` until `next` is null.',
  examples: {
    day: { filter: { created_after: '2026-01-31T00:00:00Z', created_before: '2026-02-01T00:00:00Z' } },
  },
  response: { 202: json(Redelivered, 'The number of deliveries that are due now.') },
  responseExamples: { 202: { redelivered: examples.redelivered } },
  errors: ['endpoint_not_found', 'invalid_cursor', 'store_unavailable'],
} satisfies FastifySchema;

export const getEvent = {
  operationId: 'getEvent',
  params: EventParams,
  tags,
  summary: 'An event, as its webhooks contain it',
  requestHeaders: ['If-None-Match'],
  response: resource(FeedEvent, 'The event.'),
  responseExamples: { 200: { event: examples.event } },
  errors: ['not_found', 'store_unavailable'],
} satisfies FastifySchema;

export const listEvents = {
  operationId: 'listEvents',
  querystring: FeedQuery,
  tags,
  summary: 'The feed of events, oldest first, without gaps',
  response: { 200: json(EventList, 'The events after `cursor`.') },
  responseExamples: { 200: { events: examples.events } },
  errors: ['invalid_cursor', 'cursor_expired', 'store_unavailable'],
} satisfies FastifySchema;
