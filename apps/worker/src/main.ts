/** The process of a worker: reads the settings, starts the roles, and stops them at a signal. */
import { PostgresError } from '@millrace/shared/postgres/postgres-error';
import { runMain } from '@millrace/shared/process/main-process';
import { RELEASE } from '@millrace/shared/process/release';
import { UnfitRedisError } from '@millrace/shared/redis/connection';
import { startTracing } from '@millrace/shared/tracing/start-tracing';
import { startWorker } from './worker.ts';

await runMain({
  name: 'worker',
  env: process.env,
  operatorErrors: [PostgresError, UnfitRedisError],
  releasesAll: true,
  async start(config, log) {
    const tracing = await startTracing({ service: 'millrace-worker', version: RELEASE, log, env: process.env });
    const worker = await startWorker(config, log, tracing);
    log.info({ id: worker.id, health: worker.healthUrl, roles: config.workerRoles }, 'worker ready');
    return worker;
  },
});
