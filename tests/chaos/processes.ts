/** Starts API and workers as separate processes. */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { familyOf } from '@millrace/local/process/family';
import type { Guard } from '@millrace/local/process/guard';
import { startNodeProgram, untilReady } from '@millrace/local/process/node-program';
import type { Exit } from '@millrace/local/process/part';
import { freePort } from '@millrace/local/process/ports';
import { nodeArgs } from '../../packages/millrace/launcher/node-args.mjs';

export interface Program {
  readonly kind: 'api' | 'worker';
  readonly url: string;
  readonly pid: number;
  readonly exited: Promise<Exit>;
  /** Set when the process gets a stop request: clients no longer send requests there, as with a load balancer. */
  leaving: boolean;
  signal(name: NodeJS.Signals): void;
  /** Sends SIGKILL to the process only, as the out-of-memory killer does. Resolves when the process has ended. */
  kill(): Promise<void>;
  /** Sends SIGTERM. Resolves to the exit and the time until the exit. */
  stop(): Promise<Exit & { tookMs: number }>;
  /** The engines of a worker. */
  children(): number[];
  metric(name: string): Promise<number>;
}

/** The root of this code. */
export const ROOT = path.resolve(import.meta.dirname, '../..');
const READY_TIMEOUT_MS = 120_000;

export async function startProgram(
  kind: 'api' | 'worker',
  { guard, dir, env, root = ROOT }: { guard: Guard; dir: string; env: Readonly<Record<string, string>>; root?: string },
): Promise<Program> {
  const port = await freePort();
  const part = await startNodeProgram(guard, {
    name: kind,
    root,
    file: `apps/${kind}/src/main.ts`,
    nodeArgs,
    env: { PATH: process.env.PATH, LOG_LEVEL: 'warn', ...env, PORT: String(port), WORKER_PORT: String(port) },
    logFile: path.join(dir, `${kind}.log`),
  });
  const url = `http://127.0.0.1:${port}`;
  await untilReady(part, { url, timeoutMs: READY_TIMEOUT_MS });
  const program: Program = {
    kind,
    url,
    pid: part.pid,
    exited: part.exited,
    leaving: false,
    signal: (name) => void process.kill(part.pid, name),
    async kill() {
      program.leaving = true;
      process.kill(part.pid, 'SIGKILL');
      await part.exited;
    },
    async stop() {
      program.leaving = true;
      const startedAt = performance.now();
      const exit = await part.stop();
      return { ...exit, tookMs: performance.now() - startedAt };
    },
    children: () => familyOf(part.pid).slice(1).filter(isEngine),
    async metric(name) {
      const text = await fetch(`${url}/metrics`).then((response) => response.text());
      let sum = 0;
      for (const line of text.split('\n')) {
        const found = /^([^ ]+) ([0-9.e+-]+)$/.exec(line);
        if (found?.[1]?.startsWith(name)) sum += Number(found[2]);
      }
      return sum;
    },
  };
  return program;
}

/** A worker also has a shell that ends its engines (apps/worker/src/engine/engine-watch.ts). */
const isEngine = (pid: number): boolean => !commandOf(pid).includes('millrace-engine-watch');

function commandOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8');
  } catch {
    // The process has ended.
    return '';
  }
}
