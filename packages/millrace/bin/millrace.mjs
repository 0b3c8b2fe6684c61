#!/usr/bin/env node
// The command `millrace`. Plain JavaScript for Node 20: in a clone of the repository the program is TypeScript, which needs Node 24.
import { existsSync } from 'node:fs';
import path from 'node:path';
import { runOnNode24 } from '../launcher/node24.mjs';

const root = path.dirname(import.meta.dirname ?? path.dirname(new URL(import.meta.url).pathname));
if (Number.parseInt(process.versions.node, 10) < 20) {
  console.error(`millrace needs Node.js 20 or later, and this is ${process.version}. Install a later Node.js.`);
  process.exit(1);
}
if (existsSync(path.join(root, 'src/main.js'))) await import('../src/main.js');
else await runOnNode24(root, 'src/main.ts', process.argv.slice(2));
