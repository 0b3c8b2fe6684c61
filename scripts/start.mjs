// `npm start`: everything on this machine, from nothing to a first prediction. See scripts/start.ts.
import path from 'node:path';
import { installIfStale } from './install.mjs';
import { runOnNode24 } from './node24.mjs';

const root = path.dirname(import.meta.dirname);
installIfStale(root, { dev: false });
await runOnNode24(root, 'scripts/start.ts', process.argv.slice(2));
