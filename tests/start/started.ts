/** Runs `npm start` for a test, and stops it after the test. */
import { spawn } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { freePort } from '@millrace/local/process/ports';
import { afterEach, beforeEach, expect } from 'vitest';
import { processesWith } from './processes-with.ts';

export interface Started {
  readonly pid: number;
  readonly baseUrl: string;
  /** All output so far. */
  output(): string;
  /** Resolves when the process has printed `text`. Rejects when the process ends earlier. */
  printed(text: string): Promise<void>;
  signal(name: NodeJS.Signals): void;
  readonly exited: Promise<{ code: number | null; signal: NodeJS.Signals | null }>;
}

const root = path.resolve(import.meta.dirname, '../..');

/** Runs `npm start` with its data in `dir`, on a free port unless `env` sets a port. */
export async function startMillrace(
  dir: string,
  env: NodeJS.ProcessEnv = {},
  args: readonly string[] = [],
): Promise<Started> {
  const port = env.PORT ?? String(await freePort());
  // Only the variables that every shell has: a REDIS_URL of this process must not reach the child.
  const { PATH, HOME } = process.env;
  const child = spawn(process.execPath, ['scripts/start.mjs', ...args], {
    cwd: root,
    env: { PATH, HOME, MILLRACE_DIR: dir, ...env, PORT: port },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  const listeners = new Set<() => void>();
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (chunk) => {
      output += chunk;
      for (const listener of listeners) listener();
    });
  }
  const exited = new Promise<{ code: number | null; signal: NodeJS.Signals | null }>((resolve) => {
    child.once('close', (code, signal) => resolve({ code, signal }));
  });
  return {
    pid: child.pid!,
    baseUrl: `http://127.0.0.1:${port}`,
    output: () => output,
    printed: (text) =>
      new Promise((resolve, reject) => {
        const look = () => output.includes(text) && resolve();
        listeners.add(look);
        look();
        void exited.then(() => reject(new Error(`npm start ended without printing ${text}:\n${output}`)));
      }),
    signal: (name) => void child.kill(name),
    exited,
  };
}

/** Makes a new folder for the data of each test. Every test ends with the check that no process with the folder is left. */
export function useStartFolder(use: (dir: string) => void): void {
  let dir = '';
  beforeEach(async () => {
    dir = await mkdtemp(path.join(tmpdir(), 'millrace-start-'));
    use(dir);
  });
  afterEach(async () => {
    await expect.poll(() => processesWith(dir), { timeout: 60_000 }).toEqual([]);
    await rm(dir, { recursive: true });
  });
}

/** Begins the last text that `npm start` prints when a first prediction has succeeded. */
export const FIRST_REQUEST = 'Send the same request yourself';

/** The process id of a store (`postgres`, `redis`, `cache`), of the API (`api`) or of the worker (`worker`) of the `npm start` with the folder `dir`. */
export async function pidOf(dir: string, part: string): Promise<number> {
  const pidFile = { postgres: 'postgres/postmaster.pid', redis: 'redis/redis.pid', cache: 'cache/redis.pid' }[part];
  if (pidFile !== undefined)
    return Number.parseInt(await readFile(path.join(dir, pidFile), 'utf8').catch(() => ''), 10);
  // The environment of the launcher's children contains the folder, and their command names the part.
  const line = (await processesWith(dir)).find((entry) => entry.includes(`apps/${part}/src/main.ts`));
  return Number(line?.split(' ', 1)[0]);
}

/** Sends the request that `npm start` prints, with other spellings. */
export async function predict({ baseUrl }: Started): Promise<{ id: string; cacheStatus: string }> {
  const response = await fetch(`${baseUrl}/v1/models/drug-interaction/predictions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', prefer: 'wait=10' },
    body: JSON.stringify({ input: { drug_a: 'fluconazole', drug_b: 'WARFARIN' } }),
  });
  const { id } = (await response.json()) as { id: string };
  return { id, cacheStatus: response.headers.get('cache-status') ?? '' };
}
