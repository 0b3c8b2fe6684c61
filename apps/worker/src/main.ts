import { PostgresError } from '@millrace/shared/postgres/postgres-error';
import { runMain } from '@millrace/shared/process/main-process';
import { UnfitRedisError } from '@millrace/shared/redis/connection';
import { startWorker } from './worker.ts';

await runMain({
  name: 'worker',
  env: process.env,
  operatorErrors: [PostgresError, UnfitRedisError],
  async start(config, log) {
    const worker = await startWorker(config, log);
    log.info({ id: worker.id, health: worker.healthUrl, roles: config.workerRoles }, 'worker ready');
    return worker;
  },
});
