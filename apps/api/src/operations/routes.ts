/** The routes of operators and orchestrators: liveness, readiness and metrics. */

import { verdictOf } from '@millrace/shared/process/readiness';
import type { FastifyInstance } from 'fastify';
import type { HttpMetrics } from '../http/request-metrics.ts';
import { getHealth, getMetrics, getReadiness } from './route-schemas.ts';

/** The most faults that one response of /readyz names. */
const DEGRADED_MAX = 20;

export interface Checks {
  /** For each part `ok`, or a sentence that states its fault. */
  ready(): Promise<Record<string, 'ok' | string>>;
  /** The faults of a process that is ready all the same, one sentence for each. */
  degraded(): Promise<readonly string[]>;
  /** Whether the process can serve hits without the faulty parts. */
  serves(isFaulty: (part: string) => boolean): boolean;
}

export interface OperationRoutes {
  checks: Checks;
  metrics: HttpMetrics;
  /** The text of the metrics of all API processes of this machine. */
  allMetrics(): Promise<string>;
}

export function registerOperations(app: FastifyInstance, { checks, metrics, allMetrics }: OperationRoutes): void {
  app.get('/healthz', { schema: getHealth, config: { public: true } }, async () => ({ status: 'ok' }));

  app.get('/readyz', { schema: getReadiness, config: { public: true } }, async (_request, reply) => {
    const parts = await checks.ready();
    const impaired = (await checks.degraded().catch(() => [])).slice(0, DEGRADED_MAX);
    const { code, status } = verdictOf({ parts, impaired, serves: checks.serves });
    return reply.code(code).send({ status, parts, ...(impaired.length > 0 ? { degraded: impaired } : {}) });
  });

  app.get('/metrics', { schema: getMetrics, config: { public: true } }, async (_request, reply) => {
    reply.header('content-type', metrics.contentType);
    return allMetrics();
  });
}
