/** `npm run keys`: creates, lists and revokes API keys. */
import path from 'node:path';
import { NPM_COMMANDS } from '../packages/millrace/src/local/command-names.ts';
import { keysCommand } from '../packages/millrace/src/local/keys.ts';

const root = path.dirname(import.meta.dirname);
await keysCommand({ args: process.argv.slice(2), env: process.env, root, program: NPM_COMMANDS.keys });
