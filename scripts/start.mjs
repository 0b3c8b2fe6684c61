// `npm start`: installs the dependencies, then runs scripts/start.ts on Node 24.
import path from 'node:path';
import { runOnNode24 } from '../packages/millrace/launcher/node24.mjs';
import { installIfStale } from './launcher/install.mjs';
import { exitOnUsage } from './launcher/usage.mjs';

const root = path.dirname(import.meta.dirname);
const args = process.argv.slice(2);
exitOnUsage('scripts/start.ts', args);
installIfStale(root, { dev: false });
await runOnNode24(root, 'scripts/start.ts', args);
