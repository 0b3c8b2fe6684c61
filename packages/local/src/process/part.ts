import { type ChildProcess, spawn } from 'node:child_process';
import { createWriteStream } from 'node:fs';
import { createInterface } from 'node:readline';
import type { Guard } from './guard.ts';
import { StartError } from './start-error.ts';

export interface PartOptions {
  name: string;
  command: string;
  args: string[];
  /** The name the program is to believe it was called by. */
  argv0?: string;
  env?: NodeJS.ProcessEnv;
  cwd?: string;
  uid?: number;
  gid?: number;
  /** What asks it to end in good order. */
  stopSignal: NodeJS.Signals;
  /** How long it may take over that before SIGKILL. */
  stopTimeoutMs: number;
  /** Where everything it prints goes, added to what is there. */
  logFile: string;
  onLine?: (line: string) => void;
}

export interface Exit {
  code: number | null;
  signal: NodeJS.Signals | null;
}

/** A process that belongs to this one: guarded, logged, in a group of its own, so that Ctrl-C is for us to pass on. */
export interface Part {
  readonly name: string;
  readonly pid: number;
  /** Settles when it has ended, whoever ended it. */
  readonly exited: Promise<Exit>;
  /** The last lines it printed, for the message when it ends unasked. */
  lastLines(): string[];
  /** Asks it to end, waits, and at the deadline ends its whole group. May be called again. */
  stop(): Promise<Exit>;
}

const keptLines = 20;

/** Starts a process under the guard. Rejects with a StartError when the program cannot be run at all. */
export async function startPart(guard: Guard, options: PartOptions): Promise<Part> {
  const { name, command, args, stopSignal, stopTimeoutMs } = options;
  const child = spawn(command, args, {
    argv0: options.argv0,
    cwd: options.cwd,
    env: options.env ?? process.env,
    uid: options.uid,
    gid: options.gid,
    detached: process.platform !== 'win32',
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const { pid } = child;
  if (pid === undefined) throw await spawnFailure(child, name, command);
  guard.add(pid, stopSignal);
  const lines: string[] = [];
  collectOutput(child, options, lines);
  const exited = new Promise<Exit>((resolve) => {
    child.once('exit', () => {
      // What it leaves behind (a killed worker its engines) has nobody left to serve.
      killGroup(pid);
      guard.remove(pid);
    });
    // Not 'exit': by 'close' all it printed has been read.
    child.once('close', (code, signal) => resolve({ code, signal }));
  });
  return {
    name,
    pid,
    exited,
    lastLines: () => [...lines],
    stop: async () => {
      if (child.exitCode !== null || child.signalCode !== null) return exited;
      child.kill(stopSignal);
      const timer = setTimeout(() => killGroup(pid), stopTimeoutMs);
      const exit = await exited;
      clearTimeout(timer);
      return exit;
    },
  };
}

function collectOutput(child: ChildProcess, options: PartOptions, lines: string[]): void {
  const log = createWriteStream(options.logFile, { flags: 'a' });
  // A full disk must not take the launcher down with its logs.
  log.on('error', () => {});
  for (const stream of [child.stdout, child.stderr]) {
    if (!stream) continue;
    createInterface({ input: stream }).on('line', (line) => {
      log.write(`${line}\n`);
      lines.push(line);
      if (lines.length > keptLines) lines.shift();
      options.onLine?.(line);
    });
  }
  child.once('close', () => log.end());
}

function killGroup(pid: number): void {
  try {
    process.kill(process.platform === 'win32' ? pid : -pid, 'SIGKILL');
  } catch (error) {
    // Nobody is left in it.
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

function spawnFailure(child: ChildProcess, name: string, command: string): Promise<StartError> {
  return new Promise((resolve) => {
    child.once('error', (error) => resolve(new StartError(`${name}: ${command} cannot be run (${error.message}).`)));
  });
}
