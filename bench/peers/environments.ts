/** The virtual environments of the peers. Each peer has its own environment, because their dependencies conflict. */
import { execFile } from 'node:child_process';
import { access, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);
const folderOf = (environment: string): string => path.join(import.meta.dirname, 'venvs', environment);
const markerOf = (environment: string): string => path.join(folderOf(environment), 'installed');

export const programOf = (environment: string, program: string): string =>
  path.join(folderOf(environment), 'bin', program);

/** Installs the packages of an environment from PyPI, unless an earlier run has installed them. */
export async function install(environment: string, say: (message: string) => void): Promise<void> {
  if (await exists(markerOf(environment))) return;
  const folder = folderOf(environment);
  say(`installs ${environment}, which takes minutes`);
  // An interrupted installation leaves a folder without the marker.
  await rm(folder, { recursive: true, force: true });
  const python = process.env.PYTHON ?? 'python3.11';
  const requirements = path.join(import.meta.dirname, 'requirements', `${environment}.txt`);
  await run(python, ['-m', 'venv', folder]);
  await run(programOf(environment, 'python'), ['-m', 'pip', 'install', '--quiet', '--requirement', requirements]);
  await writeFile(markerOf(environment), '');
}

async function exists(file: string): Promise<boolean> {
  return access(file).then(
    () => true,
    () => false,
  );
}
