/** The APIs of OpenAI and of text-embeddings-inference, for clients that exist: the same cache, flights and queue as /v1. */
import { ApiError } from '@millrace/shared/errors';
import type { FastifyError, FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { asApiError, logFailed } from '../http/error-handler.ts';
import type { ForeignErrors } from '../http/foreign-errors.ts';
import { registerEmbeddings } from './embeddings.ts';
import { openAiError, type ProtocolError, teiError } from './protocol-errors.ts';
import type { ProtocolDeps } from './run-request.ts';
import { registerTei } from './text-embeddings-inference.ts';

export const OPENAI_ERRORS = foreignErrors('/openai/v1', openAiError);
/** The routes without a folder, such as `/embed`, have these errors too. */
export const TEI_ERRORS = foreignErrors('/tei', teiError);

export function registerTextProtocols(app: FastifyInstance, deps: ProtocolDeps): void {
  void app.register(
    async (openAi) => {
      sendErrors(openAi, deps, OPENAI_ERRORS);
      sendNotFound(openAi, deps, openAiError);
      registerEmbeddings(openAi, deps);
    },
    { prefix: OPENAI_ERRORS.folder },
  );
  void app.register(async (tei) => {
    sendErrors(tei, deps, TEI_ERRORS);
    registerTei(tei, deps);
  });
  void app.register(
    async (tei) => {
      sendErrors(tei, deps, TEI_ERRORS);
      sendNotFound(tei, deps, teiError);
    },
    { prefix: TEI_ERRORS.folder },
  );
}

function sendNotFound(app: FastifyInstance, deps: ProtocolDeps, errorOf: (error: ApiError) => ProtocolError): void {
  app.setNotFoundHandler((request, reply) => send(reply, errorOf(noRoute(deps, request, reply))));
}

function sendErrors(app: FastifyInstance, { log }: ProtocolDeps, errors: ForeignErrors): void {
  app.setErrorHandler((error: FastifyError, request, reply) => errors.send({ error, request, reply, log }));
}

function foreignErrors(folder: string, errorOf: (error: ApiError) => ProtocolError): ForeignErrors {
  return {
    folder,
    send({ error, request, reply, log }) {
      const known = asApiError(error, request);
      const sent = errorOf(known);
      if (sent.status >= 500 || known.code === 'internal') logFailed(log, request, known);
      return send(reply, sent);
    },
  };
}

function send(reply: FastifyReply, { status, headers, body }: ProtocolError): FastifyReply {
  return reply.code(status).headers(headers).type('application/json').send(body);
}

function noRoute({ methodsOf }: ProtocolDeps, request: FastifyRequest, reply: FastifyReply): ApiError {
  const methods = methodsOf(request.raw.url ?? '');
  const path = request.url.split('?')[0]?.slice(0, 200) ?? '';
  if (methods.length === 0)
    return new ApiError('not_found', `There is no ${request.method} ${path}; /docs lists all routes.`);
  reply.header('allow', methods.join(', '));
  return new ApiError('method_not_allowed', `${path} takes ${methods.join(', ')}.`);
}
