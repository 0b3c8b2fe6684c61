/** Writes the OpenAPI 3.1 document from the registered routes, their schemas, and the descriptions in operations.ts. */
import { ERRORS, type ErrorCode } from '@millrace/shared/errors';
import type { FastifyInstance, RouteOptions } from 'fastify';
import type { TSchema } from 'typebox';
import { REQUEST_HEADERS, RESPONSE_HEADERS } from './headers.ts';
import { OPERATIONS, type Operation, type ResponseText } from './operations.ts';
import { COMPONENTS } from './schemas.ts';
import { WEBHOOK_OPERATIONS } from './webhook-operations.ts';
import { WEBHOOK_COMPONENTS } from './webhook-schemas.ts';

type Loose = Record<string, unknown>;
type Schemas = { params?: TSchema; querystring?: TSchema; body?: TSchema };
type Route = Pick<RouteOptions, 'method' | 'url' | 'schema'>;

const DESCRIBED: Readonly<Record<string, Operation>> = { ...OPERATIONS, ...WEBHOOK_OPERATIONS };

/** The errors of every route. */
const ANY: readonly ErrorCode[] = [
  'invalid_request',
  'not_found',
  'request_timeout',
  'unsupported_media_type',
  'expectation_failed',
  'headers_too_large',
  'internal',
  'shutting_down',
];
/** The further errors of routes that accept a body. */
const WITH_BODY: readonly ErrorCode[] = ['invalid_json', 'json_too_deep', 'payload_too_large', 'body_memory_full'];

/** Must be called before the routes are registered. Each registered route is added to the array, except HEAD and /v2. */
export function collectRoutes(app: FastifyInstance): Route[] {
  const routes: Route[] = [];
  app.addHook('onRoute', ({ method, url, schema }) => {
    if (method !== 'HEAD' && !url.startsWith('/v2')) routes.push({ method, url, ...(schema ? { schema } : {}) });
  });
  return routes;
}

/** Throws for a route without a description, and for a description without a route. */
export function openApiDocument(routes: readonly Route[]): Loose {
  const paths: Record<string, Loose> = {};
  const left = new Set(Object.keys(DESCRIBED));
  for (const { method, url, schema } of routes) {
    const name = `${String(method)} ${url}`;
    const operation = DESCRIBED[name];
    if (!operation)
      throw new Error(`The route ${name} has no description for the OpenAPI document. Add one to operations.ts.`);
    left.delete(name);
    const path = url.replaceAll(/:(\w+)/g, '{$1}');
    paths[path] = {
      ...paths[path],
      [String(method).toLowerCase()]: operationJson(operation, String(method), (schema ?? {}) as Schemas),
    };
  }
  if (left.size > 0)
    throw new Error(`The OpenAPI document describes ${[...left].join(', ')}, but no such route exists.`);
  return {
    openapi: '3.1.0',
    info: {
      title: 'Millrace',
      version: '0.1.0',
      summary: 'Serves ONNX models through a queue.',
      description:
        'Create a prediction by POST. A cached result is returned at once; any other prediction is queued and has its own URL. ' +
        'Errors are RFC 9457 problem details with a stable `code`. The Open Inference Protocol v2 is served under /v2.',
      license: { name: 'MIT', identifier: 'MIT' },
    },
    servers: [{ url: '/' }],
    tags: [...new Set(Object.values(DESCRIBED).map(({ tag }) => tag))].map((name) => ({ name })),
    paths,
    components: { schemas: { ...COMPONENTS, ...WEBHOOK_COMPONENTS } },
  };
}

function operationJson(operation: Operation, method: string, schema: Schemas): Loose {
  const { params, querystring, body } = schema;
  const parameters = [
    ...parametersOf(params, 'path'),
    ...parametersOf(querystring, 'query'),
    ...(operation.requestHeaders ?? []).map((name) => ({ name, in: 'header', ...REQUEST_HEADERS[name] })),
  ];
  return {
    operationId: operation.id,
    tags: [operation.tag],
    summary: operation.summary,
    ...(operation.description === undefined ? {} : { description: operation.description }),
    ...(parameters.length > 0 ? { parameters } : {}),
    ...(body ? { requestBody: { required: true, content: { 'application/json': bodyJson(body, operation) } } } : {}),
    responses: responsesJson(operation, method),
  };
}

function parametersOf(schema: TSchema | undefined, place: 'path' | 'query'): Loose[] {
  const { properties = {}, required = [] } = (schema ?? {}) as {
    properties?: Record<string, Loose>;
    required?: string[];
  };
  return Object.entries(properties).map(([name, { description, ...rest }]) => ({
    name,
    in: place,
    required: place === 'path' || required.includes(name),
    ...(description === undefined ? {} : { description }),
    schema: rest,
  }));
}

function bodyJson(schema: TSchema, { examples = {} }: Operation): Loose {
  const named = Object.entries(examples).map(([name, value]) => [name, { value }]);
  return { schema, ...(named.length > 0 ? { examples: Object.fromEntries(named) } : {}) };
}

function responsesJson({ responses: described, errors = [] }: Operation, method: string): Loose {
  const responses: Record<string, Loose> = {};
  for (const [status, response] of Object.entries(described)) responses[status] = responseJson(response);
  const codes = [...ANY, ...(method === 'GET' ? [] : WITH_BODY), ...errors];
  for (const [status, some] of Map.groupBy(new Set(codes), (code) => String(ERRORS[code].status))) {
    const problem = problemJson(some);
    const own = responses[status];
    // A status can have a regular response beside the problem, such as 503 of /readyz.
    responses[status] = own
      ? { ...own, content: { ...(own.content as Loose), ...(problem.content as Loose) } }
      : problem;
  }
  return responses;
}

function responseJson({ description, schema, type = 'application/json', headers = [] }: ResponseText): Loose {
  const hasBody = schema !== undefined || type !== 'application/json';
  const body = schema === undefined ? {} : { schema: { $ref: `#/components/schemas/${schema}` } };
  return {
    description,
    ...(headers.length > 0 ? { headers: headersJson(headers) } : {}),
    ...(hasBody || description.startsWith('OpenAPI') ? { content: { [type]: body } } : {}),
  };
}

function problemJson(codes: readonly ErrorCode[]): Loose {
  const schema = {
    allOf: [{ $ref: '#/components/schemas/Problem' }, { properties: { code: { enum: codes } } }],
  };
  const description = codes.map((code) => `\`${code}\`: ${ERRORS[code].title}.`).join(' ');
  const later = codes.some((code) => ERRORS[code].retryable && ![500, 504].includes(ERRORS[code].status));
  const names = [
    ...(later ? ['Retry-After'] : []),
    ...(codes.some((code) => ERRORS[code].status === 429) ? ['RateLimit'] : []),
    ...(codes.includes('not_cached') ? ['Cache-Status'] : []),
  ];
  return {
    description,
    ...(names.length > 0 ? { headers: headersJson(names) } : {}),
    content: { 'application/problem+json': { schema } },
  };
}

const headersJson = (names: readonly string[]): Loose =>
  Object.fromEntries(names.map((name) => [name, RESPONSE_HEADERS[name]]));
