import { PostgresError } from '@millrace/shared/postgres/postgres-error';
import { runMain } from '@millrace/shared/process/main-process';
import { UnfitRedisError } from '@millrace/shared/redis/connection';
import { startApi } from './server.ts';

await runMain({
  name: 'api',
  env: process.env,
  operatorErrors: [PostgresError, UnfitRedisError],
  async start(config, log) {
    const api = await startApi(config, log);
    log.info({ url: api.url }, 'api ready');
    return api;
  },
});
