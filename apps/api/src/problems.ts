/** Every error leaves as RFC 9457 problem details; what is not ours to tell leaves as a bare 500 and is logged whole. */
import { ApiError, type ErrorCode, problemOf } from '@millrace/shared/errors';
import type { FastifyError, FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';

/** Fastify's own errors that a caller can cause. */
const OF_FASTIFY: Record<string, ErrorCode> = {
  FST_ERR_CTP_BODY_TOO_LARGE: 'payload_too_large',
  FST_ERR_CTP_INVALID_MEDIA_TYPE: 'unsupported_media_type',
  FST_ERR_CTP_EMPTY_JSON_BODY: 'invalid_json',
  FST_ERR_CTP_INVALID_CONTENT_LENGTH: 'invalid_request',
  FST_ERR_BAD_URL: 'not_found',
  FST_ERR_MAX_PARAM_LENGTH: 'not_found',
};

export function registerProblems(app: FastifyInstance): void {
  app.setErrorHandler((error: FastifyError, request, reply) => sendProblem(error, request, reply));
  app.setNotFoundHandler((request) => {
    throw new ApiError('not_found', `There is no ${request.method} ${request.url.split('?')[0]?.slice(0, 200)}.`);
  });
}

export function asApiError(error: unknown): ApiError {
  if (error instanceof ApiError) return error;
  const code = OF_FASTIFY[(error as FastifyError | null)?.code ?? ''];
  if (code) return new ApiError(code, (error as Error).message);
  return new ApiError('internal', 'Something went wrong here; the log has it under request_id.', { cause: error });
}

export function sendProblem(error: unknown, request: FastifyRequest, reply: FastifyReply): FastifyReply {
  const known = asApiError(error);
  const body = problemOf(known, request.id);
  if (body.status >= 500) request.log.error({ err: known.cause ?? known, code: known.code }, 'request failed');
  if (known.retryAfterS !== undefined) reply.header('retry-after', String(known.retryAfterS));
  if (known.code === 'not_cached') reply.header('cache-status', 'millrace; fwd=miss');
  return reply.code(body.status).type('application/problem+json').send(JSON.stringify(body));
}
