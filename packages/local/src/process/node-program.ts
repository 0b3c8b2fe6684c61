/** Starts a Node program in a process and waits until the program serves requests. `npm start`, bench and chaos use the same code. */
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { Guard } from './guard.ts';
import { type Part, startPart } from './part.ts';

export interface NodeProgram {
  name: string;
  /** Working directory of the program, for example the root of a checkout. */
  root: string;
  /** Absolute, or from the root. */
  file: string;
  nodeArgs: readonly string[];
  env: NodeJS.ProcessEnv;
  logFile: string;
  onLine?: (line: string) => void;
}

// Longer than the deadline of each program's graceful stop.
const stopTimeoutMs = 30_000;

/** Runs the program on the Node of this process. */
export function startNodeProgram(guard: Guard, program: NodeProgram): Promise<Part> {
  const { name, root, file, nodeArgs, env, logFile, onLine } = program;
  return startPart(guard, {
    name,
    command: process.execPath,
    args: [...nodeArgs, path.resolve(root, file)],
    cwd: root,
    env,
    stopSignal: 'SIGTERM',
    stopTimeoutMs,
    logFile,
    ...(onLine ? { onLine } : {}),
  });
}

interface StartParams {
  started: Promise<unknown>;
  timeoutMs: number;
  /** Describes the missing condition in the error of a late start. */
  missing?: () => string;
}

/** Waits for a start. Rejects with the program's last lines when the program ends or the time is over. */
export async function untilStarted(part: Part, { started, timeoutMs, missing }: StartParams): Promise<void> {
  const failure = await Promise.race([
    started.then(() => undefined),
    part.exited.then(({ code, signal }) => `ended while starting (${signal ?? code})`),
    delay(timeoutMs, 'late' as const, { ref: false }),
  ]);
  if (failure === undefined) return;
  const reason = failure === 'late' ? `was not ready within ${timeoutMs} ms. ${missing?.() ?? ''}` : failure;
  throw new Error(`${part.name} ${reason}\n${part.lastLines().join('\n')}`);
}

/** Waits until `/readyz` of a program returns 200. */
export async function untilReady(part: Part, { url, timeoutMs }: { url: string; timeoutMs: number }): Promise<void> {
  const stopping = new AbortController();
  let missing = '';
  const poll = async () => {
    while (!stopping.signal.aborted) {
      try {
        const response = await fetch(`${url}/readyz`, { signal: AbortSignal.timeout(2_000) });
        missing = await response.text();
        if (response.ok) return;
      } catch {
        // The program does not listen yet.
      }
      await delay(30);
    }
  };
  try {
    await untilStarted(part, { started: poll(), timeoutMs, missing: () => missing });
  } finally {
    stopping.abort();
  }
}
