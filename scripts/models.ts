/** `npm run models`: lists, checks, adds, promotes and retires model versions. */
import path from 'node:path';
import { NPM_COMMANDS } from '../packages/millrace/src/local/command-names.ts';
import { modelsCommand } from '../packages/millrace/src/local/models.ts';

const root = path.dirname(import.meta.dirname);
await modelsCommand({ args: process.argv.slice(2), env: process.env, root, program: NPM_COMMANDS.models });
