/** Runs the command line as a shell does: as a process with its own standard streams. */
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import path from 'node:path';

export const PROGRAM = path.resolve(import.meta.dirname, '../../packages/millrace/bin/millrace.mjs');
/** util-linux has the program that gives a command a terminal. */
const SCRIPT = '/usr/bin/script';
export const hasTerminal = process.platform === 'linux' && existsSync(SCRIPT);

export interface CliResult {
  code: number | null;
  stdout: string;
  stderr: string;
}

export interface CliOptions {
  env?: Readonly<Record<string, string>>;
  cwd?: string;
  input?: string;
  /** Called with all standard output so far. */
  onOutput?: (stdout: string, child: { signal(name: NodeJS.Signals): void }) => void;
}

const baseEnv = (): Record<string, string> => {
  const { PATH = '', HOME = '' } = process.env;
  return { PATH, HOME };
};

export function runCli(args: readonly string[], options: CliOptions = {}): Promise<CliResult> {
  return run([process.execPath, PROGRAM, ...args], options);
}

/** Runs the command line on a terminal. Standard output has what both streams write to the terminal. */
export function runOnTerminal(args: readonly string[], options: CliOptions = {}): Promise<CliResult> {
  const quoted = [process.execPath, PROGRAM, ...args].map((word) => `'${word.replaceAll("'", "'\\''")}'`).join(' ');
  return run([SCRIPT, '--quiet', '--return', '--command', quoted, '/dev/null'], {
    ...options,
    env: { TERM: 'xterm-256color', ...options.env },
  });
}

function run([command = '', ...args]: string[], { env = {}, cwd, input, onOutput }: CliOptions): Promise<CliResult> {
  const child = spawn(command, args, { cwd, env: { ...baseEnv(), ...env } });
  const result = { stdout: '', stderr: '' };
  for (const stream of ['stdout', 'stderr'] as const)
    child[stream].setEncoding('utf8').on('data', (text: string) => {
      result[stream] += text;
      if (stream === 'stdout') onOutput?.(result.stdout, { signal: (name) => void child.kill(name) });
    });
  // A command that does not read its input closes the pipe.
  child.stdin.on('error', () => {});
  child.stdin.end(input ?? '');
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code) => resolve({ code, ...result }));
  });
}
