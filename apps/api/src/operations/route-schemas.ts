/** The schemas of the routes for operators: responses and texts. */
import type { FastifySchema } from 'fastify';
import { json, text } from '../http/documentation.ts';
import { Health, Readiness, Service } from './response-schemas.ts';

export const getHealth = {
  operationId: 'getHealth',
  tags: ['Operations'],
  summary: 'Liveness',
  response: { 200: json(Health, 'The process is alive.') },
} satisfies FastifySchema;

export const getReadiness = {
  operationId: 'getReadiness',
  tags: ['Operations'],
  summary: 'Readiness',
  response: { 200: json(Readiness, 'The process is ready.'), 503: json(Readiness, 'A part has a fault.') },
} satisfies FastifySchema;

export const getMetrics = {
  operationId: 'getMetrics',
  tags: ['Operations'],
  summary: 'Metrics for Prometheus',
  response: { 200: text('text/plain', "Metrics in Prometheus' text format.") },
} satisfies FastifySchema;

export const getService = {
  operationId: 'getService',
  tags: ['Operations'],
  summary: 'The version, the limits and the features of this server',
  response: { 200: json(Service, 'The server.') },
} satisfies FastifySchema;
