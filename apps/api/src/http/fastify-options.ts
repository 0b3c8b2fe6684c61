/** The options with which the API creates its Fastify instance. */
import type { Server } from 'node:http';
import type { Config } from '@millrace/shared/process/config';
import type { FastifyBaseLogger, FastifyHttpOptions } from 'fastify';
import { createClientErrorHandler } from './client-errors.ts';
import { PATH_PART_MAX, sendProblem } from './error-handler.ts';
import { type ForeignErrors, foreignErrorsOf } from './foreign-errors.ts';
import { createRequestIds, generalHeaders } from './general-headers.ts';
import { createHttpServer } from './http-server.ts';
import { markStart } from './request-start.ts';

/**
 * The options have no logger: with a logger, Fastify would listen to the end of every response to log the few failures.
 * `protocols`: the errors of the protocols of others.
 */
export function fastifyOptions(config: Config, log: FastifyBaseLogger, protocols: readonly ForeignErrors[]) {
  const newId = createRequestIds();
  return {
    bodyLimit: config.bodyLimit,
    serverFactory: (listener) => createHttpServer(listener, config),
    routerOptions: { maxParamLength: PATH_PART_MAX },
    genReqId(request) {
      markStart(request);
      return newId(request);
    },
    // A connected client receives responses with `Connection: close` instead: a rolling restart fails no request.
    return503OnClosing: false,
    forceCloseConnections: 'idle',
    clientErrorHandler: createClientErrorHandler({ ...config, log }),
    // A path that the router cannot read reaches no route, no hook and no error handler of a folder.
    frameworkErrors(error, request, reply) {
      const protocol = foreignErrorsOf(protocols, request.raw.url ?? '');
      if (protocol === undefined) return void sendProblem(error, reply, log);
      void reply.headers(generalHeaders(request.id));
      void protocol.send({ error, request, reply, log });
    },
  } satisfies FastifyHttpOptions<Server>;
}
