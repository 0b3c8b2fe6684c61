/** Ends the engines when their worker dies, also during a run that never ends. */
import { type ChildProcess, spawn } from 'node:child_process';
import type { Socket } from 'node:net';

/**
 * A shell reads the process ids of the engines from the worker through a pipe. When the worker dies, the kernel closes the pipe, `read`
 * fails, and the shell kills the engines. A shell takes a fraction of a MiB, and a thread in each engine takes 9 MiB.
 */
const SCRIPT = `
trap '' INT TERM HUP
engines="$*"
while read -r verb pid; do
  case $verb in
    add) engines="$engines $pid" ;;
    remove)
      rest=
      for engine in $engines; do [ "$engine" = "$pid" ] || rest="$rest $engine"; done
      engines=$rest ;;
  esac
done
for engine in $engines; do kill -s KILL "$engine"; done
`;
const SHELL = '/bin/sh';
/** A shell that is killed starts again, but not forever where something kills each shell. */
const STARTS_MAX = 10;

export class EngineWatch {
  readonly #program: string;
  readonly #engines = new Set<number>();
  #shell: ChildProcess | undefined;
  #starts = 0;

  /** `program` is a POSIX shell. */
  constructor(program = SHELL) {
    this.#program = program;
  }

  /**
   * Starts the shell unless a shell runs. Returns false where no shell can run, as on Windows and in an image without a shell: an engine
   * must then watch for the end of its worker itself.
   */
  start(): boolean {
    if (this.#shell !== undefined) return true;
    if (process.platform === 'win32' || this.#starts === STARTS_MAX) return false;
    this.#starts += 1;
    // The shell has the running engines from its first moment: the worker can die before it has written to the pipe.
    const running = Array.from(this.#engines, String);
    const shell = spawn(this.#program, ['-c', SCRIPT, 'millrace-engine-watch', ...running], {
      // The shell needs no settings of the worker, and some settings are secrets.
      env: {},
      stdio: ['pipe', 'ignore', 'ignore'],
    });
    shell.on('error', () => {});
    if (shell.pid === undefined) {
      this.#starts = STARTS_MAX;
      return false;
    }
    // The shell ends with this process, and does not keep this process alive.
    shell.unref();
    (shell.stdin as Socket).unref();
    // A write to a killed shell fails. The exit, which follows, starts another shell.
    shell.stdin.on('error', () => {});
    shell.once('exit', () => {
      if (this.#shell !== shell) return;
      this.#shell = undefined;
      if (this.#engines.size > 0) this.start();
    });
    this.#shell = shell;
    return true;
  }

  add(pid: number): void {
    this.#engines.add(pid);
    this.#say('add', pid);
  }

  /** Call the method when the engine has ended, because another process can get its id. The shell ends with the last engine. */
  remove(pid: number): void {
    this.#engines.delete(pid);
    this.#say('remove', pid);
    if (this.#engines.size > 0) return;
    this.#shell?.stdin?.end();
    this.#shell = undefined;
    this.#starts = 0;
  }

  #say(verb: 'add' | 'remove', pid: number): void {
    this.#shell?.stdin?.write(`${verb} ${pid}\n`);
  }
}

/** The watch of this process. All engines share its shell. */
export const ENGINE_WATCH = new EngineWatch();
