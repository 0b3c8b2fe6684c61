/** The schemas of the webhook routes: parameters, bodies, responses and texts. */
import type { FastifySchema } from 'fastify';
import { DONE, json } from '../http/documentation.ts';
import {
  NewEndpoint as CreatedEndpoint,
  Delivery,
  DeliveryList,
  Endpoint,
  EndpointList,
  EventList,
  Redelivered,
  Rotated,
} from './response-schemas.ts';
import {
  DeliveryQuery,
  EndpointChanges,
  FeedQuery,
  IdParams,
  NewEndpoint,
  Page,
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
  errors: ['webhook_refused', 'store_unavailable'],
} satisfies FastifySchema;

export const listEndpoints = {
  operationId: 'listEndpoints',
  querystring: Page,
  tags,
  summary: 'List endpoints',
  response: { 200: json(EndpointList, 'A page.') },
  errors: ['invalid_cursor', 'store_unavailable'],
} satisfies FastifySchema;

export const getEndpoint = {
  operationId: 'getEndpoint',
  params: IdParams,
  tags,
  summary: 'An endpoint',
  response: { 200: json(Endpoint, 'The endpoint.') },
  errors: ofEndpoint,
} satisfies FastifySchema;

export const changeEndpoint = {
  operationId: 'changeEndpoint',
  params: IdParams,
  body: EndpointChanges,
  tags,
  summary: 'Change an endpoint, or enable it again',
  response: { 200: json(Endpoint, 'The endpoint after the change.') },
  errors: [...ofEndpoint, 'webhook_refused'],
} satisfies FastifySchema;

export const removeEndpoint = {
  operationId: 'removeEndpoint',
  params: IdParams,
  tags,
  summary: 'Remove an endpoint',
  response: { 204: DONE },
  errors: ofEndpoint,
} satisfies FastifySchema;

export const rotateEndpointSecret = {
  operationId: 'rotateEndpointSecret',
  params: IdParams,
  querystring: Rotation,
  tags,
  summary: 'Rotate the secret of an endpoint; for a while both secrets sign',
  response: { 200: json(Rotated, 'The new secret, which is shown only once.') },
  errors: ofEndpoint,
} satisfies FastifySchema;

export const testEndpoint = {
  operationId: 'testEndpoint',
  params: IdParams,
  tags,
  summary: 'Send a test event',
  response: { 202: json(Delivery, 'The delivery is scheduled.', ['Location']) },
  errors: [...ofEndpoint, 'conflict'],
} satisfies FastifySchema;

export const rotateSecret = {
  operationId: 'rotateSecret',
  querystring: Rotation,
  tags,
  summary: 'Rotate the secret for the webhook URLs of predictions',
  response: { 200: json(Rotated, 'The new secret, which is shown only once.') },
  errors: ['store_unavailable'],
} satisfies FastifySchema;

export const listDeliveries = {
  operationId: 'listDeliveries',
  querystring: DeliveryQuery,
  tags,
  summary: 'List deliveries with their attempts, newest first',
  response: { 200: json(DeliveryList, 'A page.') },
  errors: ['invalid_cursor', 'store_unavailable'],
} satisfies FastifySchema;

export const getDelivery = {
  operationId: 'getDelivery',
  params: IdParams,
  tags,
  summary: 'A delivery with its attempts',
  response: { 200: json(Delivery, 'The delivery.') },
  errors: ofDelivery,
} satisfies FastifySchema;

export const redeliver = {
  operationId: 'redeliver',
  params: IdParams,
  tags,
  summary: 'Deliver again',
  response: { 202: json(Delivery, 'The delivery is due now.') },
  errors: [...ofDelivery, 'conflict'],
} satisfies FastifySchema;

export const redeliverRange = {
  operationId: 'redeliverRange',
  body: RedeliverRange,
  tags,
  summary: 'Deliver again the failed deliveries of a period',
  examples: { day: { from: '2026-01-31T00:00:00Z', to: '2026-02-01T00:00:00Z' } },
  response: { 202: json(Redelivered, 'The number of deliveries that are due now.') },
  errors: ['endpoint_not_found', 'store_unavailable'],
} satisfies FastifySchema;

export const listEvents = {
  operationId: 'listEvents',
  querystring: FeedQuery,
  tags,
  summary: 'The feed of events, oldest first, without gaps',
  response: { 200: json(EventList, 'The events after `after`.') },
  errors: ['invalid_cursor', 'store_unavailable'],
} satisfies FastifySchema;
