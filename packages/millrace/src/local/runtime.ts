/**
 * Makes sure that onnxruntime-node is installed. Its install script downloads GPU libraries, and npm removes the optional package
 * where the script fails: without a way to the server of the libraries, or on a full disk.
 */
import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { StartError } from '@millrace/local/process/start-error';

const NAME = 'onnxruntime-node';

/** Installs onnxruntime-node without its install script if the package is missing. Throws StartError. */
export function ensureRuntime(say: (message: string) => void): void {
  const worker = fileURLToPath(import.meta.resolve('@millrace/worker/main'));
  if (canResolve(worker)) return;
  const root = path.dirname(path.dirname(worker));
  const version = versionOf(root);
  say(`Installing ${NAME} ${version} without GPU libraries: npm has not installed the package. This happens once.`);
  const failure = install(root, version);
  if (failure === undefined && canResolve(worker)) return;
  throw new StartError(
    `Millrace needs ${NAME}, and npm could not install the package${failure ? ` (${failure})` : ''}. Run: npm install --ignore-scripts ${NAME}@${version}`,
  );
}

function canResolve(from: string): boolean {
  try {
    createRequire(from).resolve(NAME);
    return true;
  } catch {
    return false;
  }
}

/** The version of onnxruntime-node that the worker needs. */
export const runtimeVersion = (): string =>
  versionOf(path.dirname(path.dirname(fileURLToPath(import.meta.resolve('@millrace/worker/main')))));

function versionOf(root: string): string {
  const manifest: { optionalDependencies?: Record<string, string>; dependencies?: Record<string, string> } = JSON.parse(
    readFileSync(path.join(root, 'package.json'), 'utf8'),
  );
  return manifest.optionalDependencies?.[NAME] ?? manifest.dependencies?.[NAME] ?? 'latest';
}

/**
 * Installs the package in a separate folder and copies the result beside the worker, so that the user's project stays unchanged.
 * Returns the failure in words.
 */
function install(root: string, version: string): string | undefined {
  const modules = path.join(root, 'node_modules');
  try {
    mkdirSync(modules, { recursive: true });
    const folder = mkdtempSync(path.join(modules, '.installing-'));
    try {
      const args = ['install', '--prefix', folder, '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error'];
      const { status, error } = spawnSync('npm', [...args, `${NAME}@${version}`], {
        cwd: folder,
        stdio: ['ignore', 'ignore', 'inherit'],
        shell: process.platform === 'win32',
      });
      if (status !== 0) return error?.message ?? `npm ended with code ${status}`;
      const installed = path.join(folder, 'node_modules');
      for (const name of readdirSync(installed).filter((entry) => !entry.startsWith('.') || entry === '.bin'))
        cpSync(path.join(installed, name), path.join(modules, name), { recursive: true, verbatimSymlinks: true });
      return undefined;
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  } catch (error) {
    return (error as Error).message;
  }
}
