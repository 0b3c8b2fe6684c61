import { readFileSync } from 'node:fs';
import { rm, writeFile } from 'node:fs/promises';
import path from 'node:path';

const NAMES = ['REDIS_URL', 'CACHE_REDIS_URL', 'DATABASE_URL', 'MODELS_DIR'] as const;

const fileIn = (dir: string): string => path.join(dir, 'servers.json');

/** Writes down where a running `npm start` has its servers, which are on other ports each time; the function it gives back forgets it. */
export async function tellServers(dir: string, env: NodeJS.ProcessEnv): Promise<() => Promise<void>> {
  const told = Object.fromEntries(NAMES.map((name) => [name, env[name]]));
  // The URLs hold the password of the private servers.
  await rm(fileIn(dir), { force: true });
  await writeFile(fileIn(dir), `${JSON.stringify(told, undefined, 2)}\n`, { mode: 0o600 });
  return () => rm(fileIn(dir), { force: true });
}

/**
 * The environment of a command: where it names no server itself, those of the `npm start` that runs from this folder,
 * if one does.
 */
export function withServers(env: NodeJS.ProcessEnv, root: string): NodeJS.ProcessEnv {
  if (env.DATABASE_URL || env.REDIS_URL) return env;
  try {
    const dir = path.resolve(root, env.MILLRACE_DIR || '.millrace');
    const told = JSON.parse(readFileSync(fileIn(dir), 'utf8')) as NodeJS.ProcessEnv;
    return { ...told, ...env };
  } catch {
    return env;
  }
}
