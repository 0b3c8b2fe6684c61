/**
 * The OpenAPI 3.1 document. @fastify/swagger writes the paths from the schemas of the routes. This file adds the parts for which
 * @fastify/swagger has no place in a route's schema: named components, shared error responses and examples of bodies.
 */
import swagger, {
  type FastifyDynamicSwaggerOptions,
  type SwaggerTransform,
  type SwaggerTransformObject,
} from '@fastify/swagger';
import type { ErrorCode } from '@millrace/shared/error-table';
import type { FastifyInstance, FastifySchema } from 'fastify';
import { isOptionalBody } from '../http/action-body.ts';
import { REQUEST_HEADERS, RESPONSE_HEADERS } from '../http/documented-headers.ts';
import { Problem } from '../http/response-schemas.ts';
import { Components, isObject, type Json } from './components.ts';
import { foreignErrorOf, foreignResponses } from './foreign-errors.ts';
import { codesOf, headerJson, problemReferences, problemResponses } from './problems.ts';

const OPENAPI: NonNullable<FastifyDynamicSwaggerOptions['openapi']> = {
  openapi: '3.1.0',
  info: {
    title: 'Millrace',
    version: '0.1.0',
    summary: 'Serves ONNX models through a queue.',
    description:
      'Create a prediction by POST. A cached result is returned at once; any other prediction is queued and has its own URL. ' +
      'Errors are RFC 9457 problem details with a stable `code`. The Open Inference Protocol v2 is served under /v2, the embeddings of the OpenAI API under /openai/v1.',
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

const KEY = 'Idempotency-Key' as const;
const REPLAYED = 'Idempotent-Replayed';

/** The headers of every response. */
const GENERAL_HEADERS = ['Request-Id', 'Millrace-Version'] as const;

/** The parts of an operation that are added after @fastify/swagger has written the operation. */
interface Additions {
  codes: readonly ErrorCode[];
  examples: NonNullable<FastifySchema['examples']>;
  responseExamples: NonNullable<FastifySchema['responseExamples']>;
  /** Whether the operation takes an Idempotency-Key. */
  isKeyed: boolean;
  /** The shared response of all errors, for an operation of a protocol that has its own form of errors. */
  foreignError: string | undefined;
}

/** The requests that Millrace sends itself, by name: operations as in `paths`. */
export type Webhooks = Readonly<Record<string, Json>>;

/** Must be awaited before the routes are registered. */
export async function registerDocument(app: FastifyInstance, webhooks: Webhooks): Promise<void> {
  const components = new Components();
  const additions = new Map<string, Additions>();
  await app.register(swagger, {
    openapi: OPENAPI,
    convertConstToEnum: false,
    transform: transformOf(components, additions),
    transformObject: (document) => completed(document, { components, additions, webhooks }),
  });
}

/** Converts the schema of one route to the form that @fastify/swagger reads. */
function transformOf(components: Components, additions: Map<string, Additions>): SwaggerTransform {
  return ({ schema, url, route }) => {
    // The routes of the console serve its own page only, and can change with the page.
    if (url.startsWith('/console')) return { schema: { hide: true }, url };
    const method = String(route.method);
    const name = `${method} ${url}`;
    const { operationId, requestHeaders = [], errors = [], ...documented }: FastifySchema = schema ?? {};
    const { examples = {}, responseExamples = {}, documentedBody, ...rest } = documented;
    if (operationId === undefined)
      throw new Error(`The route ${name} has no operationId. Add a schema to the route-schemas.ts of its folder.`);
    if (additions.has(operationId)) throw new Error(`Two routes have the operationId ${operationId}.`);
    const isPublic = route.config?.public === true;
    // Fastify names the root of a prefix with a final slash, and serves both forms.
    const path = url === '/v2/' ? '/v2' : url;
    // Each POST of our own API takes a key: see http/idempotent-posts.ts.
    const isKeyed = method === 'POST' && url.startsWith('/v1/');
    const codes = codesOf({ method, isPublic, isKeyed, errors });
    additions.set(operationId, { codes, examples, responseExamples, isKeyed, foreignError: foreignErrorOf(url) });
    const body = documentedBody === undefined ? {} : { body: { content: documentedBody } };
    const referred = components.refer({ ...rest, ...body });
    return {
      url: path,
      schema: {
        operationId,
        ...(isObject(referred) ? referred : {}),
        ...headersOf([...new Set([...requestHeaders, ...(isKeyed ? [KEY] : []), ...GENERAL_HEADERS])]),
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
type Operation = Json & { operationId: string; tags?: string[]; responses: Json; requestBody?: Json };

interface Parts {
  components: Components;
  additions: ReadonlyMap<string, Additions>;
  webhooks: Webhooks;
}

function completed(document: Document, { components, additions, webhooks }: Parts): ReturnType<SwaggerTransformObject> {
  if (!('openapiObject' in document)) throw new Error('@fastify/swagger has not written an OpenAPI 3 document.');
  const { openapiObject } = document;
  const problem = components.refer(Problem);
  const tags = new Set<string>();
  for (const path of Object.values(openapiObject.paths ?? {})) {
    for (const operation of Object.values(path as Record<string, Operation>)) {
      const added = additions.get(operation.operationId);
      if (added) complete(operation, added, problem);
      if (isOptional(operation, components)) delete operation.requestBody?.required;
      for (const tag of operation.tags ?? []) tags.add(tag);
    }
  }
  const sent = Object.entries(webhooks).map(([name, operation]) => [name, { post: components.refer(operation) }]);
  return Object.assign({}, openapiObject, {
    tags: [...tags].map((name) => ({ name })),
    webhooks: Object.fromEntries(sent),
    components: {
      ...openapiObject.components,
      schemas: components.schemas,
      responses: withGeneralHeaders({ ...problemResponses(problem), ...(components.refer(foreignResponses) as Json) }),
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

function complete(operation: Operation, added: Additions, problem: unknown): void {
  const { codes, examples, responseExamples, foreignError, isKeyed } = added;
  const own = operation.responses;
  if (isKeyed) addReplayed(own);
  for (const [status, named] of Object.entries(responseExamples)) addExamples(own[status], named);
  addExamples(operation.requestBody, examples);
  if (foreignError !== undefined) {
    own.default = { $ref: `#/components/responses/${foreignError}` };
    operation.responses = withGeneralHeaders(own);
    return;
  }
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
}

/** Whether a request can omit the body: @fastify/swagger calls every body required. */
function isOptional({ requestBody }: Operation, { schemas }: Components): boolean {
  const content = requestBody?.content as Record<string, { schema: { $ref?: string } }> | undefined;
  const name = content?.['application/json']?.schema.$ref?.split('/').at(-1);
  return name !== undefined && isOptionalBody(schemas[name]);
}

/** Adds the header of repeated responses to the successes. */
function addReplayed(responses: Json): void {
  for (const [status, response] of Object.entries(responses))
    if (status < '300' && isObject(response))
      response.headers = {
        ...(response.headers as Json | undefined),
        [REPLAYED]: headerJson(RESPONSE_HEADERS[REPLAYED]),
      };
}

/** Adds named examples to the JSON of a body or response. */
function addExamples(described: unknown, examples: Readonly<Record<string, unknown>>): void {
  const content = isObject(described) ? described.content : undefined;
  const json = isObject(content) ? content['application/json'] : undefined;
  const named = Object.entries(examples).map(([name, value]) => [name, { value }]);
  if (isObject(json) && named.length > 0) json.examples = Object.fromEntries(named);
}
