import { spawn } from 'node:child_process';
import path from 'node:path';
import { freePort } from '@millrace/local/process/ports';

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
export async function startMillrace(dir: string, env: NodeJS.ProcessEnv = {}): Promise<Started> {
  const port = env.PORT ?? String(await freePort());
  // Only the variables that every shell has: a REDIS_URL of this process must not reach the child.
  const { PATH, HOME } = process.env;
  const child = spawn(process.execPath, ['scripts/start.mjs'], {
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
