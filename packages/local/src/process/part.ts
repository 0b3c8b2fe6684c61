/** Starts and stops the child processes of a launcher, and writes their output to log files. */
import { type ChildProcess, spawn } from 'node:child_process';
import { createWriteStream } from 'node:fs';
import { createInterface } from 'node:readline';
import { errorCode } from './error-code.ts';
import type { Guard } from './guard.ts';
import { StartError } from './start-error.ts';

export interface PartOptions {
  name: string;
  command: string;
  args: string[];
  /** The program name that the program sees as argv[0]. */
  argv0?: string;
  env?: NodeJS.ProcessEnv;
  cwd?: string;
  uid?: number;
  gid?: number;
  /** The signal that requests a graceful stop. */
  stopSignal: NodeJS.Signals;
  /** Milliseconds between the stop signal and SIGKILL. */
  stopTimeoutMs: number;
  /** All output is appended to this file. */
  logFile: string;
  onLine?: (line: string) => void;
}

export interface Exit {
  code: number | null;
  signal: NodeJS.Signals | null;
}

/**
 * A child process that is guarded and logged. The process leads its own group, so that the launcher and not the
 * terminal passes on Ctrl-C.
 */
export interface Part {
  readonly name: string;
  readonly pid: number;
  /** Settles when the process has ended for any reason. */
  readonly exited: Promise<Exit>;
  /** The last lines of output, for the message about an unexpected end. */
  lastLines(): string[];
  /** Sends the stop signal, waits, and kills the whole group at the deadline. More than one call is allowed. */
  stop(): Promise<Exit>;
}

const keptLines = 20;

/** Starts a process under the guard. Rejects with a StartError when the program cannot run at all. */
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
      // Processes that this process leaves behind, such as the engines of a killed worker, have no purpose any more.
      killGroup(pid);
      guard.remove(pid);
    });
    // At 'close' all output has been read. At 'exit' some output may be unread.
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
  // A full disk stops the logs but must not stop the launcher.
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
    // All processes of the group have ended.
    if (errorCode(error) !== 'ESRCH') throw error;
  }
}

function spawnFailure(child: ChildProcess, name: string, command: string): Promise<StartError> {
  return new Promise((resolve) => {
    child.once('error', (error) => resolve(new StartError(`${name}: ${command} cannot be run (${error.message}).`)));
  });
}
