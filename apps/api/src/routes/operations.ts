/** What operators and orchestrators ask. */

import { verdictOf } from '@millrace/shared/process/readiness';
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
    const { code, status } = verdictOf(parts);
    return reply.code(code).send({ status, parts });
  });

  app.get('/metrics', { config: { public: true } }, async (_request, reply) => {
    reply.header('content-type', metrics.contentType);
    return metrics.text();
  });
}
