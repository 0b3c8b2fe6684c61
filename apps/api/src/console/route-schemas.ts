/** The schemas of the routes of the console. Only the session routes have data, and no program but the console needs them. */
import type { FastifySchema } from 'fastify';
import { Type } from 'typebox';
import { DONE, json, text } from '../http/documentation.ts';
import { orNull, Time } from '../http/response-schemas.ts';

const tags = ['Console'];

export const getConsole = {
  operationId: 'getConsole',
  tags,
  summary: 'The console, a page for people',
  response: { 200: text('text/html', 'The page.') },
} satisfies FastifySchema;

const anyPath = Type.Object({ '*': Type.String({ maxLength: 300 }) });

export const getConsolePage = {
  ...getConsole,
  operationId: 'getConsolePage',
  summary: 'A page or a file of the console by its address',
  params: anyPath,
} satisfies FastifySchema;

const Session = Type.Object(
  {
    keys_required: Type.Boolean({ description: 'Whether the server requires API keys.' }),
    tenant: orNull(Type.String(), 'The tenant of the session; null without a session.'),
    key_prefix: orNull(Type.String(), 'The first characters of the key.'),
    expires_at: orNull(Time, 'The end of the session.'),
    trace_url: orNull(
      Type.String(),
      'The URL of a trace with `{trace_id}`; null without `TRACE_URL` and without a session.',
    ),
  },
  { $id: 'ConsoleSession' },
);

export const getSession = {
  operationId: 'getConsoleSession',
  tags,
  summary: 'The session of the browser',
  response: { 200: json(Session, 'The session.') },
} satisfies FastifySchema;

export const createSession = {
  operationId: 'createConsoleSession',
  tags,
  summary: 'Exchange an API key for a session',
  description: 'The response sets an HttpOnly cookie for at most twelve hours. The session ends with its key.',
  body: Type.Object(
    { key: Type.String({ minLength: 1, maxLength: 200, description: 'An API key.' }) },
    { additionalProperties: false, $id: 'CreateConsoleSession' },
  ),
  errors: ['unauthorized', 'store_unavailable'],
  response: { 200: json(Session, 'The session.') },
} satisfies FastifySchema;

export const endSession = {
  operationId: 'endConsoleSession',
  tags,
  summary: 'End the session of the browser',
  errors: ['store_unavailable'],
  response: { 204: DONE },
} satisfies FastifySchema;
