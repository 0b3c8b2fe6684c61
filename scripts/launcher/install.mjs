// Runs on Node 20 with nothing installed, so it is plain JavaScript and imports only Node's own modules.
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import path from 'node:path';

/** Installs the dependencies when node_modules is missing or does not hold what package-lock.json asks for. */
export function installIfStale(root, { dev = true } = {}) {
  const wanted = readLock(path.join(root, 'package-lock.json'));
  const installed = readLock(path.join(root, 'node_modules/.package-lock.json'));
  const reason = installed ? staleReason(wanted ?? {}, installed, { dev }) : 'node_modules is missing';
  if (!reason) return;
  console.error(`Installing dependencies: ${reason}. This happens once and takes up to a minute.`);
  // `npm ci` begins with an empty node_modules. Where there is one already, only the difference is fetched, and
  // with --no-save neither package.json nor the lock file is written.
  const args = installed ? ['install', '--no-save'] : ['ci'];
  const result = npm(root, [...args, '--loglevel=error']);
  if (result.status !== 0) {
    console.error(`Millrace could not install its dependencies: npm ${args.join(' ')} failed, for the reason above.`);
    process.exit(1);
  }
}

/** Why `installed` does not satisfy `wanted` (both the `packages` of a lock file), or undefined when it does. */
export function staleReason(wanted, installed, { dev }) {
  for (const [name, entry] of Object.entries(wanted)) {
    // Optional packages are often for another platform, and their absence is not an error.
    if (!name || entry.optional || entry.devOptional || entry.peer || (entry.dev && !dev)) continue;
    if (!installed[name] && name.includes('node_modules/')) return `${shortName(name)} is missing`;
  }
  for (const [name, entry] of Object.entries(installed)) {
    if (wanted[name]?.version !== undefined && wanted[name].version !== entry.version) {
      return `${shortName(name)} is not at ${wanted[name].version}`;
    }
  }
  return undefined;
}

function shortName(name) {
  return name.slice(name.lastIndexOf('node_modules/') + 'node_modules/'.length);
}

function readLock(file) {
  try {
    return JSON.parse(readFileSync(file, 'utf8')).packages;
  } catch (error) {
    if (error.code === 'ENOENT') return undefined;
    throw error;
  }
}

function npm(root, args) {
  const { npm_execpath: cli = '', npm_node_execpath: node = process.execPath } = process.env;
  const options = {
    cwd: root,
    stdio: 'inherit',
    // Belt and braces beside .npmrc's ignore-scripts: onnxruntime-node must not download GPU libraries.
    env: { ...process.env, ONNXRUNTIME_NODE_INSTALL: 'skip' },
  };
  // Under `npm start` the npm that runs us is known, with the Node it runs on (ours may be about to be replaced).
  if (path.basename(cli) === 'npm-cli.js') return spawnSync(node, [cli, ...args], options);
  return spawnSync('npm', args, { ...options, shell: process.platform === 'win32' });
}
