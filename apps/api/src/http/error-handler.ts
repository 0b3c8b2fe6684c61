/** Every error leaves as RFC 9457 problem details; what is not ours to tell leaves as a bare 500 and is logged whole. */
import { ApiError, type ErrorCode, problemOf } from '@millrace/shared/errors';
import type { FastifyBaseLogger, FastifyError, FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { FailureLog } from './failure-log.ts';
import { NOSNIFF } from './nosniff.ts';

/** Fastify's own errors that a caller can cause. */
const OF_FASTIFY: Record<string, ErrorCode> = {
  FST_ERR_CTP_BODY_TOO_LARGE: 'payload_too_large',
  FST_ERR_CTP_INVALID_MEDIA_TYPE: 'unsupported_media_type',
  FST_ERR_CTP_EMPTY_JSON_BODY: 'invalid_json',
  FST_ERR_CTP_INVALID_CONTENT_LENGTH: 'invalid_request',
  FST_ERR_CTP_INVALID_JSON_BODY: 'invalid_json',
  FST_ERR_BAD_URL: 'not_found',
  FST_ERR_MAX_PARAM_LENGTH: 'not_found',
};

export interface ProblemDeps {
  log: FastifyBaseLogger;
  /** Methods of the path of a request target. */
  methodsOf(target: string): string[];
  /** Told of errors of routes that count their answers themselves. */
  onError?(request: FastifyRequest, status: number): void;
}

export function registerProblems(app: FastifyInstance, { log, methodsOf, onError }: ProblemDeps): void {
  app.setErrorHandler((error: FastifyError, request, reply) => {
    sendProblem(error, request, reply, log);
    onError?.(request, reply.statusCode);
    return reply;
  });
  app.setNotFoundHandler((request, reply) => {
    const path = request.url.split('?')[0] ?? '';
    const methods = methodsOf(request.url);
    if (methods.length === 0) {
      const detail = `There is no ${request.method} ${path.slice(0, 200)}; /docs has all that there is.`;
      throw new ApiError('not_found', detail);
    }
    reply.header('allow', methods.join(', '));
    throw new ApiError('method_not_allowed', `${path.slice(0, 200)} takes ${methods.join(', ')}.`, {
      faults: [
        { pointer: '', message: 'The method is not allowed', expected: methods.join(' or '), got: request.method },
      ],
    });
  });
}

/** With the request that caused it, what came is told as well. */
export function asApiError(error: unknown, request?: FastifyRequest): ApiError {
  if (error instanceof ApiError) return error;
  const fastifyCode = (error as FastifyError | null)?.code ?? '';
  if (request && fastifyCode === 'FST_ERR_CTP_INVALID_MEDIA_TYPE') return wrongType(request);
  if (request && fastifyCode === 'FST_ERR_CTP_BODY_TOO_LARGE') return tooLarge(request);
  const code = OF_FASTIFY[fastifyCode];
  if (code) return new ApiError(code, (error as Error).message.slice(0, 200));
  return new ApiError('internal', 'Something went wrong here; the log has it under request_id.', { cause: error });
}

function wrongType({ headers }: FastifyRequest): ApiError {
  const type = headers['content-type'];
  const got = type === undefined ? 'nothing' : type.slice(0, 100);
  return new ApiError('unsupported_media_type', `Send application/json; Content-Type was ${got}.`, {
    faults: [{ pointer: 'Content-Type', message: 'Another type', expected: 'application/json', got }],
  });
}

function tooLarge({ headers, server }: FastifyRequest): ApiError {
  const length = headers['content-length'];
  const expected = `at most ${server.jsonLimit} bytes`;
  return new ApiError('payload_too_large', `The body is larger than ${server.jsonLimit} bytes.`, {
    faults: [{ pointer: '', message: 'Too large', expected, got: length === undefined ? 'more' : `${length} bytes` }],
  });
}

// One for the process, as its log is.
const failureLog = new FailureLog();

/** Fastify has no logger here (see app.ts): what failed is logged with the request's id. */
export function logFailed(log: FastifyBaseLogger, request: FastifyRequest, known: ApiError): void {
  const tell = (leftOut: number) =>
    log.error({ code: known.code, left_out: leftOut }, `${leftOut} more requests failed; their lines are left out`);
  if (!failureLog.mayWrite(tell)) return;
  log.error({ err: known.cause ?? known, code: known.code, reqId: request.id }, 'request failed');
}

export function sendProblem(
  error: unknown,
  request: FastifyRequest,
  reply: FastifyReply,
  log: FastifyBaseLogger,
): FastifyReply {
  const known = asApiError(error, request);
  const body = problemOf(known, request.id);
  // That it is not cached is what the caller asked to be told, and nothing to wake anybody for.
  if (body.status >= 500 && known.code !== 'not_cached') logFailed(log, request, known);
  if (known.retryAfterS !== undefined) reply.header('retry-after', String(known.retryAfterS));
  if (known.code === 'queue_full') reply.header('ratelimit', `"queue";r=0;t=${known.retryAfterS ?? 1}`);
  if (known.code === 'not_cached') reply.header('cache-status', known.cacheStatus ?? 'millrace; fwd=miss');
  // Not by the hook of nosniff.ts alone: Fastify runs no hooks for a URL that it cannot decode.
  return reply.code(body.status).headers(NOSNIFF).type('application/problem+json').send(JSON.stringify(body));
}
