/** The options with which the API creates its Fastify instance. */
import type { Server } from 'node:http';
import type { Config } from '@millrace/shared/process/config';
import type { FastifyBaseLogger, FastifyHttpOptions } from 'fastify';
import { createClientErrorHandler } from './client-errors.ts';
import { sendProblem } from './error-handler.ts';
import { createRequestIds } from './general-headers.ts';
import { createHttpServer } from './http-server.ts';
import { markStart } from './request-start.ts';

/** The options have no logger: with a logger, Fastify would listen to the end of every response to log the few failures. */
export function fastifyOptions(config: Config, log: FastifyBaseLogger) {
  const newId = createRequestIds();
  return {
    bodyLimit: config.bodyLimit,
    serverFactory: (listener) => createHttpServer(listener, config),
    routerOptions: { maxParamLength: 300 },
    genReqId(request) {
      markStart(request);
      return newId(request);
    },
    // A connected client receives responses with `Connection: close` instead: a rolling restart fails no request.
    return503OnClosing: false,
    forceCloseConnections: 'idle',
    clientErrorHandler: createClientErrorHandler({ ...config, log }),
    frameworkErrors: (error, _request, reply) => void sendProblem(error, reply, log),
  } satisfies FastifyHttpOptions<Server>;
}
