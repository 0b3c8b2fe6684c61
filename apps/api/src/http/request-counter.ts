/** Counts answers: by a hook, but for the routes that are too quick for one and count themselves. */
import type { FastifyInstance, FastifyRequest } from 'fastify';
import type { HttpMetrics } from './request-metrics.ts';

declare module 'fastify' {
  interface FastifyContextConfig {
    /** The route counts its answers itself, but for errors. */
    countsItself?: boolean;
  }
}

const routeOf = ({ method, routeOptions }: FastifyRequest): string => `${method} ${routeOptions.url ?? 'none'}`;

export function countAnswers(app: FastifyInstance, metrics: HttpMetrics): void {
  app.addHook('onRoute', (route) => {
    if (route.config?.countsItself) return;
    route.onResponse = (request, reply, done) => {
      metrics.answered(routeOf(request), reply.statusCode, reply.elapsedTime);
      done();
    };
  });
}

/** For the error handler. */
export function countFailed(metrics: HttpMetrics): (request: FastifyRequest, status: number) => void {
  return (request, status) => {
    if (request.routeOptions.config?.countsItself) metrics.answered(routeOf(request), status, 0);
  };
}
