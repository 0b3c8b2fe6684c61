/** Counts responses with a hook, except on the hot routes, which count their own responses because a hook costs more. */
import type { FastifyInstance, FastifyRequest } from 'fastify';
import type { HttpMetrics } from './request-metrics.ts';
import { startOf } from './request-start.ts';

declare module 'fastify' {
  interface FastifyContextConfig {
    /** The route counts its own responses, except errors. */
    countsItself?: boolean;
  }
}

const routeOf = ({ method, routeOptions }: FastifyRequest): string => `${method} ${routeOptions.url ?? 'none'}`;

export function countResponses(app: FastifyInstance, metrics: HttpMetrics): void {
  app.addHook('onRoute', (route) => {
    if (route.config?.countsItself) return;
    route.onResponse = (request, reply, done) => {
      metrics.responded(routeOf(request), reply.statusCode, reply.elapsedTime);
      done();
    };
  });
}

/** Counts the error responses of all routes by code, and the duration of those that count their own responses. */
export function countFailed(metrics: HttpMetrics): (request: FastifyRequest, status: number, code: string) => void {
  return (request, status, code) => {
    const route = routeOf(request);
    metrics.failed(route, code);
    if (request.routeOptions.config?.countsItself)
      metrics.responded(route, status, performance.now() - startOf(request.raw));
  };
}
