import cluster from 'node:cluster';
import { PostgresError } from '@millrace/shared/postgres/postgres-error';
import { runMain } from '@millrace/shared/process/main-process';
import { UnfitRedisError } from '@millrace/shared/redis/connection';

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
    const api = await startApi(config, log);
    log.info({ url: api.url }, 'api ready');
    return api;
  },
});
