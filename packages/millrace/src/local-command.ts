/** Passes a command that runs on this machine to a process of Node 24. */
import path from 'node:path';
import { runOnNode24 } from '../launcher/node24.mjs';

/** Runs a command of local/main.ts with its arguments. On an older Node the command runs in a child on Node 24. */
export function runLocal(command: string, args: readonly string[]): Promise<void> {
  const extension = path.extname(new URL(import.meta.url).pathname);
  return runOnNode24(path.dirname(import.meta.dirname), `src/local/main${extension}`, [command, ...args]);
}
