import path from 'node:path';
import { StartError } from '@millrace/local/process/start-error';
import { ConfigError } from '@millrace/shared/process/config';
import { launch } from './start/launch.ts';
import { startSettings } from './start/settings.ts';
import { stopRequests } from './start/stop-requests.ts';

// `npm start`: Redis, Postgres, API and worker on this machine, as one thing that starts and ends together.
const root = path.dirname(import.meta.dirname);
try {
  const signal = stopRequests(process.env);
  await launch({ root, settings: startSettings(process.env, root), env: process.env, signal, say: console.log });
} catch (error) {
  const isForReader = error instanceof StartError || error instanceof ConfigError;
  console.error(isForReader ? `\n${error.message}` : error);
  process.exit(1);
}
// All of it has ended; a timer of some client's is not to keep the terminal waiting.
process.exit(0);
