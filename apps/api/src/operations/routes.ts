/** What operators and orchestrators ask. */

import { verdictOf } from '@millrace/shared/process/readiness';
import type { FastifyInstance } from 'fastify';
import type { HttpMetrics } from '../http/request-metrics.ts';

/** Sentences of impairment in one answer. */
const DEGRADED_MAX = 20;

export interface Checks {
  /** For each part, whether it answers; a sentence where it does not. */
  ready(): Promise<Record<string, 'ok' | string>>;
  /** What impairs a process that is ready, a sentence each. */
  degraded(): Promise<readonly string[]>;
}

export function registerOperations(
  app: FastifyInstance,
  { checks, metrics }: { checks: Checks; metrics: HttpMetrics },
): void {
  app.get('/healthz', { config: { public: true } }, async () => ({ status: 'ok' }));

  app.get('/readyz', { config: { public: true } }, async (_request, reply) => {
    const parts = await checks.ready();
    const impaired = (await checks.degraded().catch(() => [])).slice(0, DEGRADED_MAX);
    const { code, status } = verdictOf(parts, impaired);
    return reply.code(code).send({ status, parts, ...(impaired.length > 0 ? { degraded: impaired } : {}) });
  });

  app.get('/metrics', { config: { public: true } }, async (_request, reply) => {
    reply.header('content-type', metrics.contentType);
    return metrics.text();
  });
}
