/** The file `.millrace/servers.json`, with which other commands find the servers of a running `npm start`. */
import { readFileSync } from 'node:fs';
import { rm, writeFile } from 'node:fs/promises';
import path from 'node:path';

const NAMES = ['REDIS_URL', 'CACHE_REDIS_URL', 'DATABASE_URL', 'MODELS_DIR'] as const;

const fileIn = (dir: string): string => path.join(dir, 'servers.json');

/**
 * Writes the addresses of the servers of a running `npm start` to a file, because the ports differ at each start. Returns a
 * function that removes the file.
 */
export async function writeServers(dir: string, env: NodeJS.ProcessEnv): Promise<() => Promise<void>> {
  const servers = Object.fromEntries(NAMES.map((name) => [name, env[name]]));
  // The URLs hold the password of the private servers.
  await rm(fileIn(dir), { force: true });
  await writeFile(fileIn(dir), `${JSON.stringify(servers, undefined, 2)}\n`, { mode: 0o600 });
  return () => rm(fileIn(dir), { force: true });
}

/**
 * Returns the environment of a command. Where `env` names no server, the result names the servers of the `npm start` that
 * runs from this folder, if there is such a process.
 */
export function withServers(env: NodeJS.ProcessEnv, root: string): NodeJS.ProcessEnv {
  if (env.DATABASE_URL || env.REDIS_URL) return env;
  try {
    const dir = path.resolve(root, env.MILLRACE_DIR || '.millrace');
    return { ...JSON.parse(readFileSync(fileIn(dir), 'utf8')), ...env };
  } catch {
    return env;
  }
}
