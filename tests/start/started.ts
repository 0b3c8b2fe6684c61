import { spawn } from 'node:child_process';
import path from 'node:path';
import { freePort } from '@millrace/local/process/ports';

export interface Started {
  readonly pid: number;
  readonly baseUrl: string;
  /** Everything it has printed so far. */
  output(): string;
  /** Resolves when it has printed `text`; rejects when it ends without. */
  printed(text: string): Promise<void>;
  signal(name: NodeJS.Signals): void;
  readonly exited: Promise<{ code: number | null; signal: NodeJS.Signals | null }>;
}

const root = path.resolve(import.meta.dirname, '../..');

/** Runs `npm start` as npm would, with its data in `dir` and, unless `env` says otherwise, on a free port. */
export async function startMillrace(dir: string, env: NodeJS.ProcessEnv = {}): Promise<Started> {
  const port = env.PORT ?? String(await freePort());
  // Of the surroundings only what any shell has: a REDIS_URL there is not for this.
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
        void exited.then(() => reject(new Error(`it ended without printing ${text}:\n${output}`)));
      }),
    signal: (name) => void child.kill(name),
    exited,
  };
}
