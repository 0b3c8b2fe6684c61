/** Runs the tests of a module in a process of their own, which is replaced after a run that does not end. */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';

export type Outcome = 'passed' | 'failed' | 'late';

export class TestRunner {
  readonly #args: readonly string[];
  #process: ChildProcess | undefined;

  /** `dir`: the copy of the repository. `file`: the changed module. */
  constructor(dir: string, file: string, tests: readonly string[]) {
    this.#args = [dir, file, ...tests];
  }

  /** `hangsMs`: a test without a limit of its own fails after this time. */
  async run(timeoutMs: number, hangsMs = 0): Promise<Outcome> {
    const runner = await this.#running();
    const { promise, resolve } = Promise.withResolvers<Outcome>();
    let isSilent = false;
    const timer = setTimeout(() => {
      isSilent = true;
      resolve('late');
    }, timeoutMs);
    const onMessage = (sent: unknown) => resolve(sent === 'passed' || sent === 'late' ? sent : 'failed');
    // A change may end the whole process.
    const onExit = () => resolve('failed');
    runner.once('message', onMessage);
    runner.once('exit', onExit);
    runner.send(hangsMs);
    const outcome = await promise;
    clearTimeout(timer);
    runner.off('message', onMessage);
    runner.off('exit', onExit);
    if (isSilent) this.#kill();
    return outcome;
  }

  async close(): Promise<void> {
    const runner = this.#process;
    if (!runner || runner.exitCode !== null) return;
    const ended = once(runner, 'exit');
    runner.disconnect();
    const timer = setTimeout(() => this.#kill(), 20_000);
    await ended;
    clearTimeout(timer);
  }

  async #running(): Promise<ChildProcess> {
    if (this.#process && this.#process.exitCode === null && this.#process.signalCode === null) return this.#process;
    const runner = fork(path.join(import.meta.dirname, 'runner.ts'), this.#args, {
      // A group of its own, so that a process that hangs ends with its workers and servers.
      detached: true,
      stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
    });
    let errors = '';
    runner.stderr?.on('data', (bytes: Buffer) => {
      errors = (errors + bytes.toString()).slice(-4_000);
    });
    this.#process = runner;
    await Promise.race([
      once(runner, 'message'),
      once(runner, 'exit').then(() => {
        throw new Error(`The tests cannot start: ${errors}`);
      }),
    ]);
    return runner;
  }

  #kill(): void {
    if (this.#process?.pid !== undefined) process.kill(-this.#process.pid, 'SIGKILL');
    this.#process = undefined;
  }
}
