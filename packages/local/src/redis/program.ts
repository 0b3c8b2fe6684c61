/** Finds a redis-server or valkey-server on this machine, or installs one. */
import { spawnSync } from 'node:child_process';
import { accessSync, constants } from 'node:fs';
import path from 'node:path';
import { StartError } from '../process/start-error.ts';
import { installPackage } from './system-packages.ts';

/** A program that is a Redis server when it is started under the name `argv0`. */
export interface RedisProgram {
  file: string;
  argv0: string;
}

// On Debian and derived systems, redis-server and redis-check-rdb are one program that acts by its name. The package
// redis-tools has the program without the system service that redis-server would start on port 6379.
const candidates = [
  { name: 'redis-server', argv0: 'redis-server' },
  { name: 'valkey-server', argv0: 'valkey-server' },
  { name: 'redis-check-rdb', argv0: 'redis-server' },
  { name: 'valkey-check-rdb', argv0: 'valkey-server' },
];

// Folders of package managers that a shell's PATH may omit.
const furtherDirectories = ['/usr/bin', '/usr/sbin', '/usr/local/bin', '/opt/homebrew/bin'];

const waysOut = `There are three ways out:
  - install one yourself (the package is called redis, redis-server or valkey), and start again;
  - run everything in containers: docker-compose up;
  - use an existing Redis: set REDIS_URL, such as redis://host:6379`;

/**
 * The redis-server or valkey-server of this machine. Installs the program with the package manager where that is
 * allowed.
 */
export async function findOrInstallRedis(say: (message: string) => void): Promise<RedisProgram> {
  const found = installedRedis();
  if (found) return found;
  const outcome = await installPackage(['redis-tools', 'valkey', 'redis'], say);
  const installed = installedRedis();
  if (installed) return installed;
  throw new StartError(`Millrace needs a redis-server (7.0 or later), and none is installed (${outcome}).\n${waysOut}`);
}

/** The redis-server or valkey-server of this machine. */
export const installedRedis = (): RedisProgram | undefined => findRedis(searchPath());

/** The first program in these directories that is Redis 7 or later, or any Valkey. */
export function findRedis(directories: string[]): RedisProgram | undefined {
  for (const { name, argv0 } of candidates) {
    for (const directory of directories) {
      const program = { file: path.join(directory, name), argv0 };
      if (isExecutable(program.file) && majorVersion(program) >= 7) return program;
    }
  }
  return undefined;
}

function searchPath(): string[] {
  const directories = (process.env.PATH ?? '').split(path.delimiter).filter((directory) => path.isAbsolute(directory));
  return [...new Set([...directories, ...furtherDirectories])];
}

function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/** Returns 0 for a program that is not a server: outside Debian, redis-check-rdb may be a separate program. */
function majorVersion({ file, argv0 }: RedisProgram): number {
  const { stdout } = spawnSync(file, ['--version'], { argv0, encoding: 'utf8', timeout: 5_000 });
  return Number(/\bserver v=(\d+)\./i.exec(stdout ?? '')?.[1] ?? 0);
}
