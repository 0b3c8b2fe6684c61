// Installs the dependencies. Runs on Node 20 before anything is installed, and therefore is plain JavaScript that imports only
// Node's own modules.
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import path from 'node:path';

/** Installs the dependencies when node_modules is missing or differs from package-lock.json. */
export function installIfStale(root, { dev = true } = {}) {
  const wanted = readLock(path.join(root, 'package-lock.json'));
  const installed = readLock(path.join(root, 'node_modules/.package-lock.json'));
  const reason = installed ? staleReason(wanted ?? {}, installed, { dev }) : 'node_modules is missing';
  if (!reason) return;
  console.error(`Installing dependencies: ${reason}. This happens once and takes up to a minute.`);
  // `npm ci` starts with an empty node_modules. Where the folder exists, `npm install` fetches only the difference, and
  // --no-save keeps package.json and the lock file unchanged.
  const args = installed ? ['install', '--no-save'] : ['ci'];
  const result = npm(root, [...args, '--loglevel=error']);
  if (result.status !== 0) {
    console.error(
      `Millrace could not install its dependencies: npm ${args.join(' ')} failed. Read npm's message above.`,
    );
    process.exit(1);
  }
}

/**
 * Compares the `packages` of two lock files. Returns why `installed` does not satisfy `wanted`; undefined when `installed`
 * satisfies `wanted`.
 */
export function staleReason(wanted, installed, { dev }) {
  for (const [name, entry] of Object.entries(wanted)) {
    // Many optional packages are for another platform, so their absence is not an error.
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
    // A second protection beside .npmrc's ignore-scripts: onnxruntime-node must not download GPU libraries.
    env: { ...process.env, ONNXRUNTIME_NODE_INSTALL: 'skip' },
  };
  // Under `npm start` the environment names the running npm and its Node. This process's Node may be about to be replaced.
  if (path.basename(cli) === 'npm-cli.js') return spawnSync(node, [cli, ...args], options);
  return spawnSync('npm', args, { ...options, shell: process.platform === 'win32' });
}
