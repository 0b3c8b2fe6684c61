/** What operators and orchestrators ask. */
import type { FastifyInstance } from 'fastify';

export interface Checks {
  /** For each part, whether it answers; a sentence where it does not. */
  ready(): Promise<Record<string, 'ok' | string>>;
}

export function registerOperations(app: FastifyInstance, { checks }: { checks: Checks }): void {
  app.get('/healthz', async () => ({ status: 'ok' }));

  app.get('/readyz', async (_request, reply) => {
    const parts = await checks.ready();
    const ready = Object.values(parts).every((answer) => answer === 'ok');
    return reply.code(ready ? 200 : 503).send({ status: ready ? 'ready' : 'not ready', parts });
  });
}
