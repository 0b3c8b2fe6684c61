// `npm test [-- vitest's arguments]`: runs all unit and integration tests once. tests/services starts the servers.
import path from 'node:path';
import { installIfStale } from './launcher/install.mjs';
import { runOnNode24 } from './launcher/node24.mjs';

const root = path.dirname(import.meta.dirname);
installIfStale(root);
await runOnNode24(root, 'node_modules/vitest/vitest.mjs', ['run', ...process.argv.slice(2)]);
