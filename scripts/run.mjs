// `node scripts/run.mjs <entry.ts> [arguments]`: runs a TypeScript entry on Node 24, also where the installed Node is older.
import path from 'node:path';
import { runOnNode24 } from '../packages/millrace/launcher/node24.mjs';
import { installIfStale } from './launcher/install.mjs';
import { exitOnUsage } from './launcher/usage.mjs';

const root = path.dirname(import.meta.dirname);
const [entry, ...args] = process.argv.slice(2);
if (!entry) {
  console.error('usage: node scripts/run.mjs <entry.ts> [arguments]');
  process.exit(2);
}
exitOnUsage(entry, args);
installIfStale(root, { dev: false });
await runOnNode24(root, entry, args);
