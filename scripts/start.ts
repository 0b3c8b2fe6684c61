/** `npm start`: runs Redis, Postgres, an API and a worker on this machine. */
import path from 'node:path';
import { NPM_COMMANDS } from '../packages/millrace/src/local/command-names.ts';
import { serve } from '../packages/millrace/src/local/serve.ts';

const { env } = process;
if (process.argv.includes('--watch')) env.WATCH_MODELS = 'true';
await serve({ root: path.dirname(import.meta.dirname), env, names: NPM_COMMANDS });
