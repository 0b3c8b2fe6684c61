/**
 * The part of a route's schema that only documents the route. openapi/document.ts writes the OpenAPI document from these members,
 * the parameters, the body and the responses. A schema with an `$id` is a named component of the document.
 */
import type { ErrorCode } from '@millrace/shared/error-table';
import { type TSchema, Type } from 'typebox';
import { RESPONSE_HEADERS, type RequestHeader, type ResponseHeader } from './documented-headers.ts';

declare module 'fastify' {
  interface FastifySchema {
    operationId?: string;
    tags?: readonly string[];
    summary?: string;
    description?: string;
    /** The headers that the route reads. They are no part of the validated schema: a route parses its headers itself. */
    requestHeaders?: readonly RequestHeader[];
    /** Valid bodies by name. A test sends each of them. */
    examples?: Readonly<Record<string, unknown>>;
    /** JSON bodies of the responses, by HTTP status and name. A test compares each of them with its schema. */
    responseExamples?: Readonly<Record<number, Readonly<Record<string, unknown>>>>;
    /** The bodies of a route that parses its body itself, by media type. */
    documentedBody?: Readonly<Record<string, { schema: TSchema }>>;
    /** The errors beyond the errors of every route. */
    errors?: readonly ErrorCode[];
  }
}

export interface DocumentedResponse {
  description: string;
  headers?: Readonly<Record<string, object>>;
  content?: Readonly<Record<string, { schema: TSchema }>>;
  /** `null` for a response without a body. */
  type?: 'null';
}

const headersOf = (names: readonly ResponseHeader[]): Pick<DocumentedResponse, 'headers'> =>
  names.length === 0 ? {} : { headers: Object.fromEntries(names.map((name) => [name, RESPONSE_HEADERS[name]])) };

/** A response with a JSON body. */
export function json(
  schema: TSchema,
  description: string,
  headers: readonly ResponseHeader[] = [],
): DocumentedResponse {
  return { description, ...headersOf(headers), content: { 'application/json': { schema } } };
}

/** The responses of a read of one resource: its JSON, or 304 if the client has it. The route has `etag` in its configuration. */
export const resource = (schema: TSchema, description: string) => ({
  200: json(schema, description, ['ETag']),
  304: noBody('`If-None-Match` matches.', ['ETag']),
});

/** A response with a body of another type. */
export function text(type: string, description: string, schema: TSchema = Type.String()): DocumentedResponse {
  return { description, content: { [type]: { schema } } };
}

/** A response with the bytes of a file. */
export function binary(description: string, headers: readonly ResponseHeader[]): DocumentedResponse {
  const schema = Type.String({ format: 'binary' });
  return { description, ...headersOf(headers), content: { 'application/octet-stream': { schema } } };
}

/** A response without a body. */
export function noBody(description: string, headers: readonly ResponseHeader[] = []): DocumentedResponse {
  return { description, type: 'null', ...headersOf(headers) };
}

export const DONE = noBody('Done.');
