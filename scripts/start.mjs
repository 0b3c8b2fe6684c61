// `npm start`: everything on this machine, from nothing to a first prediction. See scripts/start.ts.
import path from 'node:path';
import { installIfStale } from './launcher/install.mjs';
import { runOnNode24 } from './launcher/node24.mjs';
import { endIfAsked } from './launcher/usage.mjs';

const root = path.dirname(import.meta.dirname);
endIfAsked('scripts/start.ts', process.argv.slice(2));
installIfStale(root, { dev: false });
await runOnNode24(root, 'scripts/start.ts', []);
