import path from 'node:path';
import { StartError } from '@millrace/local/process/start-error';
import { ConfigError } from '@millrace/shared/process/config';
import { launch } from './start/launch.ts';
import { startSettings } from './start/settings.ts';
import { stopRequests } from './start/stop-requests.ts';

// `npm start`: runs Redis, Postgres, an API and a worker on this machine. All of them start and end together.
const root = path.dirname(import.meta.dirname);
try {
  const signal = stopRequests(process.env);
  await launch({ root, settings: startSettings(process.env, root), env: process.env, signal, say: console.log });
} catch (error) {
  const isForOperator = error instanceof StartError || error instanceof ConfigError;
  // Never the error itself: its other fields can contain a URL with a password.
  console.error(isForOperator ? `\n${error.message}` : error instanceof Error ? error.stack : String(error));
  process.exit(1);
}
// All parts have ended. Exit now, so that a timer of a client library cannot keep the terminal waiting.
process.exit(0);
