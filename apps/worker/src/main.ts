import { runMain } from '@millrace/shared/process/main-process';
import { startWorker } from './worker.ts';

await runMain('worker', process.env, async (config, log) => {
  const worker = await startWorker(config, log);
  log.info({ id: worker.id, health: worker.healthUrl, roles: config.workerRoles }, 'worker ready');
  return worker;
});
