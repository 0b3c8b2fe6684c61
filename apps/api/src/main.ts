import { runMain } from '@millrace/shared/process/main-process';
import { startApi } from './server.ts';

await runMain('api', process.env, async (config, log) => {
  const api = await startApi(config, log);
  log.info({ url: api.url }, 'api ready');
  return api;
});
