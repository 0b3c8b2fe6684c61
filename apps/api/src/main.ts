/** The process of the API: reads the settings, starts the server, and stops the server at a signal. */
import cluster from 'node:cluster';
import { PostgresError } from '@millrace/shared/postgres/postgres-error';
import { runMain } from '@millrace/shared/process/main-process';
import { RELEASE } from '@millrace/shared/process/release';
import { UnfitRedisError } from '@millrace/shared/redis/connection';
import { startTracing } from '@millrace/shared/tracing/start-tracing';

await runMain({
  name: 'api',
  env: process.env,
  operatorErrors: [PostgresError, UnfitRedisError],
  async start(config, log) {
    // The primary process does not load the API: the other processes serve the requests.
    if (config.apiProcesses > 1 && cluster.isPrimary) {
      const { startProcesses } = await import('./processes/start-processes.ts');
      return startProcesses(config, log);
    }
    const { startApi } = await import('./server.ts');
    const tracing = await startTracing({ service: 'millrace-api', version: RELEASE, log, env: process.env });
    const api = await startApi(config, log, tracing);
    log.info({ url: api.url }, 'api ready');
    return api;
  },
});
