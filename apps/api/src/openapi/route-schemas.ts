/** The schemas of the routes for the OpenAPI document. */
import type { FastifySchema } from 'fastify';
import { Type } from 'typebox';
import { text } from '../http/documentation.ts';

export const getOpenApi = {
  operationId: 'getOpenApi',
  tags: ['Operations'],
  summary: 'This document',
  response: { 200: text('application/json', 'OpenAPI 3.1.', Type.Object({})) },
} satisfies FastifySchema;

export const getDocs = {
  operationId: 'getDocs',
  tags: ['Operations'],
  summary: 'This document as a page',
  response: { 200: text('text/html', 'A page.') },
} satisfies FastifySchema;

export const getRoot = {
  ...getDocs,
  operationId: 'getRoot',
  summary: 'The page of /docs, for a person who opens the address of the API',
} satisfies FastifySchema;
