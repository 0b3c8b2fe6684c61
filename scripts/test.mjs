// `npm test [-- vitest's arguments]`: runs all unit and integration tests once. With a path, runs the tests of the path in every
// project of vitest.config.ts. tests/services starts the servers.
import path from 'node:path';
import { runOnNode24 } from '../packages/millrace/launcher/node24.mjs';
import { installIfStale } from './launcher/install.mjs';

const root = path.dirname(import.meta.dirname);
installIfStale(root);
const args = process.argv.slice(2);
const hasPath = args.some((arg) => !arg.startsWith('-'));
const projects = hasPath ? [] : ['--project', 'unit', '--project', 'integration'];
const hasReporter = args.some((arg) => arg.startsWith('--reporter'));
const reporters = ['--reporter=./tests/services/stalled-run.ts', ...(hasReporter ? [] : ['--reporter=default'])];
await runOnNode24(root, 'node_modules/vitest/vitest.mjs', ['run', ...projects, ...reporters, ...args]);
