/**
 * The OpenAPI 3.1 document. @fastify/swagger writes the paths from the schemas of the routes. This file adds the parts for which
 * @fastify/swagger has no place in a route's schema: named components, shared error responses and examples of bodies.
 */
import swagger, {
  type FastifyDynamicSwaggerOptions,
  type SwaggerTransform,
  type SwaggerTransformObject,
} from '@fastify/swagger';
import type { ErrorCode } from '@millrace/shared/errors';
import type { FastifyInstance, FastifySchema } from 'fastify';
import { REQUEST_HEADERS, RESPONSE_HEADERS } from '../http/documented-headers.ts';
import { Problem } from '../http/response-schemas.ts';
import { Components, isObject, type Json } from './components.ts';
import { codesOf, headerJson, problemReferences, problemResponses } from './problems.ts';

const OPENAPI: NonNullable<FastifyDynamicSwaggerOptions['openapi']> = {
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
  // A server without API_KEYS_REQUIRED serves callers without a key.
  security: [{ apiKey: [] }, {}],
  components: {
    securitySchemes: {
      apiKey: {
        type: 'http',
        scheme: 'bearer',
        description: 'An API key as `Authorization: Bearer mrk_...`.',
      },
    },
  },
};

/** The headers of every response. */
const GENERAL_HEADERS = ['Request-Id', 'Millrace-Version'] as const;

/** The parts of an operation that are added after @fastify/swagger has written the operation. */
interface Additions {
  codes: readonly ErrorCode[];
  examples: Readonly<Record<string, unknown>>;
}

/** Must be awaited before the routes are registered. */
export async function registerDocument(app: FastifyInstance): Promise<void> {
  const components = new Components();
  const additions = new Map<string, Additions>();
  await app.register(swagger, {
    openapi: OPENAPI,
    convertConstToEnum: false,
    transform: transformOf(components, additions),
    transformObject: (document) => completed(document, components, additions),
  });
}

/** Converts the schema of one route to the form that @fastify/swagger reads. Routes of other protocols are left out. */
function transformOf(components: Components, additions: Map<string, Additions>): SwaggerTransform {
  return ({ schema, url, route }) => {
    if (url.startsWith('/v2')) return { schema: { hide: true }, url };
    const name = `${String(route.method)} ${url}`;
    const { operationId, requestHeaders = [], errors = [], examples = {}, ...rest }: FastifySchema = schema ?? {};
    if (operationId === undefined)
      throw new Error(`The route ${name} has no operationId. Add a schema to the route-schemas.ts of its folder.`);
    if (additions.has(operationId)) throw new Error(`Two routes have the operationId ${operationId}.`);
    const isPublic = route.config?.public === true;
    additions.set(operationId, { codes: codesOf({ method: String(route.method), isPublic, errors }), examples });
    const referred = components.refer(rest);
    return {
      url,
      schema: {
        operationId,
        ...(isObject(referred) ? referred : {}),
        ...headersOf([...requestHeaders, ...GENERAL_HEADERS]),
        ...(isPublic ? { security: [] } : {}),
      },
    };
  };
}

const headersOf = (names: readonly (keyof typeof REQUEST_HEADERS)[]): Pick<FastifySchema, 'headers'> =>
  names.length === 0
    ? {}
    : {
        headers: { type: 'object', properties: Object.fromEntries(names.map((name) => [name, REQUEST_HEADERS[name]])) },
      };

type Document = Parameters<SwaggerTransformObject>[0];
type Operation = Json & { operationId: string; tags?: string[]; responses: Json; requestBody?: { content: Json } };

function completed(
  document: Document,
  components: Components,
  additions: ReadonlyMap<string, Additions>,
): ReturnType<SwaggerTransformObject> {
  if (!('openapiObject' in document)) throw new Error('@fastify/swagger has not written an OpenAPI 3 document.');
  const { openapiObject } = document;
  const problem = components.refer(Problem);
  const tags = new Set<string>();
  for (const path of Object.values(openapiObject.paths ?? {})) {
    for (const operation of Object.values(path as Record<string, Operation>)) {
      const added = additions.get(operation.operationId);
      if (added) complete(operation, added, problem);
      for (const tag of operation.tags ?? []) tags.add(tag);
    }
  }
  return Object.assign({}, openapiObject, {
    tags: [...tags].map((name) => ({ name })),
    components: {
      ...openapiObject.components,
      schemas: components.schemas,
      responses: withGeneralHeaders(problemResponses(problem)),
      headers: Object.fromEntries(GENERAL_HEADERS.map((name) => [keyOf(name), headerJson(RESPONSE_HEADERS[name])])),
    },
  });
}

const keyOf = (name: string): string => name.replaceAll('-', '');

/** Adds references to the general headers to responses that are no references. */
function withGeneralHeaders(responses: Json): Json {
  const general = Object.fromEntries(
    GENERAL_HEADERS.map((name) => [name, { $ref: `#/components/headers/${keyOf(name)}` }]),
  );
  const added = Object.entries(responses).map(([status, response]) => [
    status,
    isObject(response) && !('$ref' in response)
      ? { ...response, headers: { ...(response.headers as Json | undefined), ...general } }
      : response,
  ]);
  return Object.fromEntries(added);
}

function complete(operation: Operation, { codes, examples }: Additions, problem: unknown): void {
  const own = operation.responses;
  const problems = problemReferences(codes);
  for (const [status, reference] of Object.entries(problems)) {
    const response = own[status];
    // A status can have a regular response beside the problem, such as 503 of /readyz.
    own[status] = isObject(response)
      ? { ...response, content: { ...(response.content as Json), 'application/problem+json': { schema: problem } } }
      : reference;
  }
  operation.responses = withGeneralHeaders(own);
  operation['x-error-codes'] = codes;
  const body = operation.requestBody?.content['application/json'];
  const named = Object.entries(examples).map(([name, value]) => [name, { value }]);
  if (isObject(body) && named.length > 0) body.examples = Object.fromEntries(named);
}
