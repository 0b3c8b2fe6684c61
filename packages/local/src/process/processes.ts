/** Finds out whether a process runs and which program it is, and ends servers that a killed run left. */
import { execFile } from 'node:child_process';
import { readFile, readlink } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';
import { errorCode } from './error-code.ts';

const run = promisify(execFile);

/** Whether a process with that id exists, for any owner. */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return errorCode(error) === 'EPERM';
  }
}

/** Whether a process with that id still runs. A zombie (dead, but not collected by its parent) does not run. */
export async function isRunning(pid: number): Promise<boolean> {
  if (!isAlive(pid)) return false;
  if (process.platform !== 'linux') return true;
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => ') Z ');
  return !stat.includes(') Z ');
}

/**
 * The command line of a process, or '' when the process has ended. A minimal Linux has no `ps`, but always has /proc.
 */
export async function commandOf(pid: number): Promise<string> {
  try {
    if (process.platform === 'linux') return (await readFile(`/proc/${pid}/cmdline`, 'utf8')).replaceAll('\0', ' ');
    return (await run('ps', ['-o', 'args=', '-p', String(pid)])).stdout.trim();
  } catch {
    return '';
  }
}

async function directoryOf(pid: number): Promise<string> {
  try {
    if (process.platform === 'linux') return await readlink(`/proc/${pid}/cwd`);
    const { stdout } = await run('lsof', ['-a', '-p', String(pid), '-d', 'cwd', '-Fn']);
    return /^n(.*)$/m.exec(stdout)?.[1] ?? '';
  } catch {
    return '';
  }
}

/**
 * Ends a server that a killed run left on this data directory. Redis and Postgres both write a pid file to the data
 * directory and use the directory as their working directory. The working directory distinguishes the server from an
 * unrelated process with the same id.
 */
export async function endOrphan(pidFile: string, dataDir: string, signal: NodeJS.Signals): Promise<void> {
  const pid = Number.parseInt(await readFile(pidFile, 'utf8').catch(() => ''), 10);
  if (!(pid > 1) || (await directoryOf(pid)) !== dataDir) return;
  for (const [attempt, waitMs] of [
    [signal, 10_000],
    ['SIGKILL', 2_000],
  ] as const) {
    signalQuietly(pid, attempt);
    const deadline = performance.now() + waitMs;
    while (performance.now() < deadline) {
      if ((await directoryOf(pid)) !== dataDir) return;
      await delay(20);
    }
  }
}

function signalQuietly(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch {
    // The process has ended already.
  }
}
