/** What operators and orchestrators ask. */
import type { FastifyInstance } from 'fastify';
import type { HttpMetrics } from '../http-metrics.ts';

export interface Checks {
  /** For each part, whether it answers; a sentence where it does not. */
  ready(): Promise<Record<string, 'ok' | string>>;
}

export function registerOperations(
  app: FastifyInstance,
  { checks, metrics }: { checks: Checks; metrics: HttpMetrics },
): void {
  app.get('/healthz', { config: { public: true } }, async () => ({ status: 'ok' }));

  app.get('/readyz', { config: { public: true } }, async (_request, reply) => {
    const parts = await checks.ready();
    const ready = Object.values(parts).every((answer) => answer === 'ok');
    return reply.code(ready ? 200 : 503).send({ status: ready ? 'ready' : 'not ready', parts });
  });

  app.get('/metrics', { config: { public: true } }, async (_request, reply) => {
    reply.header('content-type', metrics.contentType);
    return metrics.text();
  });
}
