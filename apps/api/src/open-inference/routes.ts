/** The Open Inference Protocol v2 over HTTP: the same cache, flights and queue as /v1, for existing clients of Triton and KServe. */
import type { FastifyError, FastifyInstance, FastifyReply } from 'fastify';
import { readPieces } from '../http/body-pieces.ts';
import { asApiError, logFailed } from '../http/error-handler.ts';
import type { FailedRequest, ForeignErrors } from '../http/foreign-errors.ts';
import type { V2Deps } from './deps.ts';
import { messageOf, statusOf, V2Error } from './errors.ts';
import { registerInfer } from './infer-route.ts';
import { registerModels } from './model-routes.ts';
import { registerRepository } from './repository-routes.ts';
import * as schemas from './route-schemas.ts';
import { Statistics } from './statistics.ts';

const EXTENSIONS = ['binary_tensor_data', 'model_repository', 'statistics', 'schedule_policy'];

export const V2_ERRORS: ForeignErrors = { folder: '/v2', send: sendError };

export function registerV2(app: FastifyInstance, deps: V2Deps): void {
  void app.register(async (v2) => routes(v2, deps), { prefix: V2_ERRORS.folder });
}

function routes(app: FastifyInstance, deps: V2Deps): void {
  const statistics = new Statistics();
  registerBodiesAndErrors(app, deps);
  registerServer(app, deps);
  registerModels(app, deps, statistics);
  registerRepository(app, deps);
  registerInfer(app, deps, statistics);
}

function registerBodiesAndErrors(app: FastifyInstance, deps: V2Deps): void {
  app.removeAllContentTypeParsers();
  // Triton's clients send JSON and binary bodies as application/json or application/octet-stream, or without a type.
  app.addContentTypeParser('*', readPieces);
  const { log } = deps;
  app.setErrorHandler((error: FastifyError, request, reply) => V2_ERRORS.send({ error, request, reply, log }));
  app.setNotFoundHandler((request, reply) => {
    const allowed = deps.methodsOf(request.raw.url ?? '');
    const error = `there is no ${request.method} ${request.url.slice(0, 200)}`;
    if (allowed.length === 0) return reply.code(404).send({ error });
    return reply
      .code(405)
      .header('allow', allowed.join(', '))
      .send({ error: `${error}: the path takes ${allowed.join(' and ')}` });
  });
}

function sendError({ error, request, reply, log }: FailedRequest): FastifyReply {
  if (error instanceof V2Error) return reply.code(error.status).send({ error: error.message });
  const known = asApiError(error);
  const status = statusOf(known);
  if (status >= 500) logFailed(log, request, known);
  if (known.retryAfterS !== undefined) reply.header('retry-after', String(known.retryAfterS));
  return reply.code(status).send({ error: messageOf(known) });
}

function registerServer(app: FastifyInstance, deps: V2Deps): void {
  app.get('/', { schema: schemas.getServerMetadata }, async () => ({
    name: 'millrace',
    version: '0.1.0',
    extensions: EXTENSIONS,
  }));
  app.get('/health/live', { schema: schemas.getServerLive, config: { public: true } }, async () => ({ live: true }));
  app.get('/health/ready', { schema: schemas.getServerReady, config: { public: true } }, async (_request, reply) => {
    const ready = await deps.ready();
    return reply.code(ready ? 200 : 503).send({ ready });
  });
}
