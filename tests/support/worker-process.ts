/** Starts worker and API as in production: as separate processes that a test can kill, of this code or of a release in `root`. */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';

const ROOT = path.resolve(import.meta.dirname, '../..');

export interface WorkerProcess {
  readonly pid: number;
  /** The health address of a worker, or the address of the API. */
  readonly url: string;
  /** The sum of all samples of a Prometheus metric whose labels contain `part`. */
  metric(name: string, part?: string): Promise<number>;
  signal(name: NodeJS.Signals): void;
  /** Stops the process with SIGTERM and resolves to its exit code. */
  stop(): Promise<number | null>;
  /** Kills the process with SIGKILL and resolves when the process has ended. */
  kill(): Promise<void>;
}

/** Resolves when all roles run. Rejects with the output when the process ends earlier. */
export const startWorkerProcess = (env: Readonly<Record<string, string>>, root = ROOT): Promise<WorkerProcess> =>
  startProcess(path.join(root, 'apps/worker'), /"health":"([^"]+)".*"worker ready"/, env);

/** Resolves when the API listens. */
export const startApiProcess = (env: Readonly<Record<string, string>>, root = ROOT): Promise<WorkerProcess> =>
  startProcess(path.join(root, 'apps/api'), /"url":"([^"]+)".*"api ready"/, env);

async function startProcess(app: string, ready: RegExp, env: Readonly<Record<string, string>>): Promise<WorkerProcess> {
  const { PATH = '', HOME = '' } = process.env;
  const child = spawn(process.execPath, [path.join(app, 'src/main.ts')], {
    env: {
      PATH,
      HOME,
      NODE_COMPILE_CACHE: path.join(ROOT, 'node_modules/.cache/millrace'),
      LOG_LEVEL: 'info',
      ...env,
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const exited = new Promise<number | null>((resolve) => child.once('exit', resolve));
  const url = await urlOf(child, exited, ready);
  return {
    pid: child.pid as number,
    url,
    metric: (name, part = '') => readMetric(`${url}/metrics`, name, part),
    signal: (name) => void child.kill(name),
    async stop() {
      child.kill('SIGTERM');
      return exited;
    },
    async kill() {
      child.kill('SIGKILL');
      await exited;
    },
  };
}

function urlOf(child: ChildProcess, exited: Promise<unknown>, pattern: RegExp): Promise<string> {
  let printed = '';
  return new Promise((resolve, reject) => {
    const look = (chunk: Buffer) => {
      if (printed.length < 100_000) printed += chunk;
      const ready = pattern.exec(printed)?.[1];
      if (ready) resolve(ready);
    };
    child.stdout?.on('data', look);
    child.stderr?.on('data', look);
    void exited.then((code) => reject(new Error(`the process ended with ${code}:\n${printed}`)));
  });
}

/** The sum of the samples of a metric in Prometheus text format. */
export async function readMetric(url: string, name: string, part = ''): Promise<number> {
  const text = await (await fetch(url)).text();
  let sum = 0;
  for (const line of text.split('\n')) {
    const [, labels = '', value] =
      /^(\{[^}]*\})? (.+)$/.exec(line.startsWith(name) ? line.slice(name.length) : '') ?? [];
    if (value !== undefined && labels.includes(part)) sum += Number(value);
  }
  return sum;
}

/** The child processes of a process: the engines of a worker, or the processes of an API with API_PROCESSES. */
export function childrenOf(pid: number): number[] {
  const listed = execFileSync('ps', ['-A', '-o', 'pid=,ppid='], { encoding: 'utf8' });
  return [...listed.matchAll(/^\s*(\d+)\s+(\d+)\s*$/gm)]
    .filter(([, , parent]) => Number(parent) === pid)
    .map(([, child]) => Number(child));
}

/** Kills all engines of the workers and resolves when they have ended. */
export async function killEngines(workers: readonly WorkerProcess[]): Promise<void> {
  for (const { pid } of workers) {
    const engines = childrenOf(pid);
    for (const engine of engines) process.kill(engine, 'SIGKILL');
    while (childrenOf(pid).some((child) => engines.includes(child))) await delay(10);
  }
}
