/** The schemas of the routes for operators: responses and texts. */
import { API_VERSION } from '@millrace/shared/predictions/event-constants';
import type { FastifySchema } from 'fastify';
import { json, text } from '../http/documentation.ts';
import { Health, Readiness, Service } from './response-schemas.ts';

export const getHealth = {
  operationId: 'getHealth',
  tags: ['Operations'],
  summary: 'Liveness',
  response: { 200: json(Health, 'The process is alive.') },
  responseExamples: { 200: { alive: { status: 'ok' } } },
} satisfies FastifySchema;

export const getReadiness = {
  operationId: 'getReadiness',
  tags: ['Operations'],
  summary: 'Readiness',
  response: { 200: json(Readiness, 'The process is ready.'), 503: json(Readiness, 'A part has a fault.') },
  responseExamples: {
    200: { ready: { status: 'ready', parts: { postgres: 'ok', redis: 'ok', cache: 'ok' } } },
    503: {
      away: {
        status: 'not_ready',
        parts: { postgres: 'ok', redis: 'Redis does not respond', cache: 'Redis does not respond' },
      },
    },
  },
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
  responseExamples: {
    200: {
      server: {
        name: 'millrace',
        version: '0.1.0',
        api_version: API_VERSION,
        limits: {
          body_bytes: 104_857_600,
          json_bytes: 16_777_216,
          rows: 10_000,
          metadata_bytes: 16_384,
          wait_s: 60,
          list: 100,
        },
        features: ['idempotency_keys', 'list_filters', 'webhooks'],
      },
    },
  },
} satisfies FastifySchema;
