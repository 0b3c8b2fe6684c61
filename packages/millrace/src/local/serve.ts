/** `npm start` and `millrace serve`: run Redis, Postgres, an API and a worker on this machine. All of them start and end together. */
import { StartError } from '@millrace/local/process/start-error';
import { ConfigError } from '@millrace/shared/process/config';
import { launch } from '../start/launch.ts';
import { startSettings } from '../start/settings.ts';
import { stopRequests } from '../start/stop-requests.ts';
import type { CommandNames } from './command-names.ts';

export interface ServeParams {
  /** The folder of `.millrace` and of a relative MODELS_DIR. */
  root: string;
  env: NodeJS.ProcessEnv;
  names: CommandNames;
}

/** Runs Millrace until a signal, then exits the process. */
export async function serve({ root, env, names }: ServeParams): Promise<never> {
  try {
    const signal = stopRequests(env);
    await launch({ root, settings: startSettings(env, root), env, signal, names, say: console.log });
  } catch (error) {
    const isForOperator = error instanceof StartError || error instanceof ConfigError;
    // Never the error itself: its other fields can contain a URL with a password.
    console.error(isForOperator ? `\n${error.message}` : error instanceof Error ? error.stack : String(error));
    process.exit(1);
  }
  // All parts have ended. Exit now, so that a timer of a client library cannot keep the terminal waiting.
  process.exit(0);
}
