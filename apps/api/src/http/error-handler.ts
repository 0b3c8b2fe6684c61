/** Sends every error as RFC 9457 problem details. An unexpected error becomes a bare 500, and the log has its details. */
import type { ErrorCode } from '@millrace/shared/error-table';
import { ApiError, problemOf } from '@millrace/shared/errors';
import type { FastifyBaseLogger, FastifyError, FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { isForm } from './forms.ts';
import { generalHeaders } from './general-headers.ts';

/** The most characters of a part of a path that a route reads. */
export const PATH_PART_MAX = 300;

/** Fastify's errors that a client can cause. */
const OF_FASTIFY: Record<string, ErrorCode> = {
  FST_ERR_CTP_BODY_TOO_LARGE: 'payload_too_large',
  FST_ERR_CTP_INVALID_MEDIA_TYPE: 'unsupported_media_type',
  FST_ERR_CTP_EMPTY_JSON_BODY: 'invalid_json',
  FST_ERR_CTP_INVALID_CONTENT_LENGTH: 'invalid_request',
  FST_ERR_CTP_INVALID_JSON_BODY: 'invalid_json',
  FST_ERR_BAD_URL: 'not_found',
  FST_ERR_MAX_PARAM_LENGTH: 'not_found',
};

/** The errors whose text in Fastify says neither the expectation nor the next step. */
const DETAILS: Record<string, string> = {
  FST_ERR_BAD_URL: 'The path has a broken percent-encoding. Encode each part of the path, and write % as %25.',
  FST_ERR_MAX_PARAM_LENGTH: `A part of the path has more than ${PATH_PART_MAX} characters. No name or id is as long.`,
};

/** The names of the limits other than the queue, in the header `RateLimit`. */
const LIMIT_NAMES: Partial<Record<ErrorCode, string>> = {
  body_memory_full: 'body-memory',
  too_many_uploads: 'uploads',
};

export interface ProblemDeps {
  log: FastifyBaseLogger;
  /** The methods of the path of a request target. */
  methodsOf(target: string): string[];
  /** Called after each error response. */
  onError?(request: FastifyRequest, status: number, code: ErrorCode): void;
}

export function registerProblems(app: FastifyInstance, { log, methodsOf, onError }: ProblemDeps): void {
  const noRoute = (request: FastifyRequest, reply: FastifyReply): ApiError => {
    const path = request.url.split('?')[0] ?? '';
    const methods = methodsOf(request.url);
    if (methods.length === 0)
      return new ApiError('not_found', `There is no ${request.method} ${path.slice(0, 200)}; /docs lists all routes.`);
    reply.header('allow', methods.join(', '));
    return new ApiError('method_not_allowed', `${path.slice(0, 200)} takes ${methods.join(', ')}.`);
  };
  app.setErrorHandler((given: FastifyError, request, reply) => {
    // Fastify refuses a QUERY without a Content-Type before the search for a route. No route has this method.
    const error = given.code === 'FST_ERR_ROUTE_MISSING_CONTENT_TYPE' ? noRoute(request, reply) : given;
    sendProblem(error, reply, log);
    onError?.(request, reply.statusCode, asApiError(error).code);
    return reply;
  });
  app.setNotFoundHandler((request, reply) => {
    throw noRoute(request, reply);
  });
}

/** Converts any error. With `request`, the faults of the error also state the received value. */
export function asApiError(error: unknown, request?: FastifyRequest): ApiError {
  if (error instanceof ApiError) return error;
  const fastifyCode = error instanceof Error && 'code' in error ? String(error.code) : '';
  if (request && fastifyCode === 'FST_ERR_CTP_INVALID_MEDIA_TYPE') return wrongType(request);
  if (request && fastifyCode === 'FST_ERR_CTP_BODY_TOO_LARGE') return tooLarge(request);
  const code = OF_FASTIFY[fastifyCode];
  if (code && error instanceof Error) return new ApiError(code, DETAILS[fastifyCode] ?? error.message.slice(0, 200));
  return new ApiError(
    'internal',
    'An unexpected error occurred. The log of the server has the details under request_id.',
    { cause: error },
  );
}

export function wrongType({ headers }: FastifyRequest): ApiError {
  const type = headers['content-type'];
  const got = type === undefined ? 'nothing' : type.slice(0, 100);
  return new ApiError('unsupported_media_type', `Send application/json; Content-Type was ${got}.`, {
    faults: [{ in: 'header', pointer: 'Content-Type', message: 'Unsupported type', expected: 'application/json', got }],
  });
}

function tooLarge({ headers, server }: FastifyRequest): ApiError {
  const length = headers['content-length'];
  const limit = isForm(headers) ? server.initialConfig.bodyLimit : server.jsonLimit;
  const expected = `at most ${limit} bytes`;
  return new ApiError('payload_too_large', `The body is larger than ${limit} bytes.`, {
    faults: [{ pointer: '', message: 'Too large', expected, got: length === undefined ? 'more' : `${length} bytes` }],
  });
}

/**
 * Logs a failed request with its id. Fastify itself has no logger; see fastify-options.ts. The log limits the lines of an outage.
 * An error that is no fault of the code has no stack in the log.
 */
export function logFailed(log: FastifyBaseLogger, request: FastifyRequest, known: ApiError): void {
  const { cause } = known;
  const fields = { code: known.code, ...aboutRequest(request) };
  if (known.code === 'internal') log.error({ err: cause ?? known, ...fields }, 'request failed');
  else
    log.warn(
      { ...fields, detail: known.message, cause: cause instanceof Error ? cause.message : undefined },
      'request failed',
    );
}

/** Logs a request that was refused because of load. */
function logRefused(log: FastifyBaseLogger, request: FastifyRequest, { code, message }: ApiError): void {
  log.warn({ code, ...aboutRequest(request), detail: message }, 'request refused');
}

interface NamedModel {
  model?: unknown;
}

/** The route, and the names in the request that lead an operator to the cause. */
function aboutRequest({ id, method, routeOptions, params, tenant, trace }: FastifyRequest): Record<string, unknown> {
  const { model } = (params ?? {}) as NamedModel;
  return {
    route: `${method} ${routeOptions.url ?? 'none'}`,
    model: typeof model === 'string' ? model.slice(0, 100) : undefined,
    tenant: tenant || undefined,
    reqId: id,
    trace_id: trace?.traceId,
  };
}

export function sendProblem(error: unknown, reply: FastifyReply, log: FastifyBaseLogger): FastifyReply {
  const { request } = reply;
  const known = asApiError(error, request);
  const problem = problemOf(known, request.id);
  const body = request.trace ? { ...problem, trace_id: request.trace.traceId } : problem;
  // `not_cached` is the expected response to `only-if-cached`, and not a failure.
  if (body.status >= 500 && known.code !== 'not_cached') logFailed(log, request, known);
  else if (body.status === 429) logRefused(log, request, known);
  if (known.retryAfterS !== undefined) reply.header('retry-after', String(known.retryAfterS));
  if (body.status === 429) {
    const name = LIMIT_NAMES[known.code] ?? 'queue';
    reply.header('ratelimit', `"${name}";r=0;t=${known.retryAfterS ?? 1}`);
  }
  if (known.code === 'not_cached') reply.header('cache-status', known.cacheStatus ?? 'millrace; fwd=miss');
  // Fastify runs no hooks for a URL with invalid encoding, so the hook of general-headers.ts is not enough.
  return reply
    .code(body.status)
    .headers(generalHeaders(request.id))
    .type('application/problem+json')
    .send(JSON.stringify(body));
}
