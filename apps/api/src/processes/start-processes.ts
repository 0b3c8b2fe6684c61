/**
 * Runs several API processes that share one port. The primary process accepts connections and gives each connection to one process
 * after the other. A process that ends is started again.
 */
import cluster, { type Worker } from 'node:cluster';
import { once } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import type { Config } from '@millrace/shared/process/config';
import type { Logger } from 'pino';
import { MetricsRelay } from './metrics-relay.ts';

const PAUSE_MIN_MS = 250;
const PAUSE_MAX_MS = 10_000;
/** A process that ran for this time has started well: the next restart begins with the shortest pause. */
const SETTLED_MS = 10_000;
/** Starts in sequence that may fail while no process serves. Then the primary stops, and its supervisor reports the end. */
const FAILED_STARTS_MAX = 5;

export interface ApiProcesses {
  /** Stops all processes. Resolves to the processes that did not stop in time. */
  close(deadlineMs: number): Promise<string[]>;
  /** See main-process.ts. */
  mustStop: Promise<string>;
}

/** Resolves when every process listens. Rejects when a process ends before, and then has stopped the others. */
export async function startProcesses(config: Config, log: Logger): Promise<ApiProcesses> {
  const processes = new Processes(log);
  try {
    const numbers = Array.from({ length: config.apiProcesses }, (_, at) => at + 1);
    await Promise.all(numbers.map((number) => processes.start(number)));
  } catch (error) {
    await processes.close(config.shutdownMs);
    throw error;
  }
  log.info({ processes: config.apiProcesses }, 'all api processes are ready');
  return processes;
}

/** The process printed the reason. An error of this name is printed as a sentence. */
class StartFailed extends Error {
  override name = 'PlainError';
}

class Processes implements ApiProcesses {
  readonly #log: Logger;
  /** The running processes by their number, from 1. A new process has the number of the process before. */
  readonly #running = new Map<number, Worker>();
  readonly #listening = new Set<number>();
  readonly #relay = new MetricsRelay(this.#running);
  readonly #stop = Promise.withResolvers<string>();
  /** The signal that changes the log level is for every process. */
  readonly #passOn = () => {
    for (const { process } of this.#running.values()) process.kill('SIGUSR2');
  };
  #failedStarts = 0;
  #closing = false;

  constructor(log: Logger) {
    this.#log = log;
    process.on('SIGUSR2', this.#passOn);
  }

  get mustStop(): Promise<string> {
    return this.#stop.promise;
  }

  /** Resolves when the process listens, and then keeps a process of this number running. Rejects when the process ends before. */
  async start(number: number): Promise<void> {
    const process = await this.#fork(number);
    void this.#keep(number, process);
  }

  async close(deadlineMs: number): Promise<string[]> {
    this.#closing = true;
    const running = [...this.#running];
    const ended = Promise.all(running.map(([, process]) => process.isDead() || once(process, 'exit')));
    process.off('SIGUSR2', this.#passOn);
    for (const [, { process }] of running) process.kill('SIGTERM');
    await Promise.race([ended, delay(deadlineMs, undefined, { ref: false })]);
    const late = [...this.#running].filter(([, process]) => !process.isDead());
    for (const [, { process }] of late) process.kill('SIGKILL');
    return late.map(([number]) => `api process ${number}`);
  }

  /** Resolves to the process after its start, when the process listens. */
  async #fork(number: number): Promise<Worker> {
    const process = cluster.fork();
    this.#running.set(number, process);
    this.#relay.listen(process, number);
    process.once('exit', () => {
      this.#listening.delete(number);
      if (this.#running.get(number) === process) this.#running.delete(number);
    });
    const ended = once(process, 'exit').then(([code, signal]) => {
      throw new StartFailed(`API process ${number} ended at its start (${signal ?? `code ${code}`}).`);
    });
    // The end of a process that listens is no error here.
    ended.catch(() => {});
    await Promise.race([once(process, 'listening'), ended]);
    this.#listening.add(number);
    return process;
  }

  /** Starts a process again after each end, with growing pauses. */
  async #keep(number: number, first: Worker): Promise<void> {
    let process: Worker | undefined = first;
    let pauseMs = PAUSE_MIN_MS;
    while (!this.#closing) {
      const startedAt = performance.now();
      if (process && !process.isDead()) await once(process, 'exit');
      if (this.#closing) return;
      if (process && performance.now() - startedAt > SETTLED_MS) pauseMs = PAUSE_MIN_MS;
      this.#log.error({ api_process: number, pauseMs }, 'an api process ended and is started again');
      await delay(pauseMs, undefined, { ref: false });
      if (this.#closing) return;
      pauseMs = Math.min(2 * pauseMs, PAUSE_MAX_MS);
      process = await this.#fork(number).catch(() => undefined);
      this.#count(process !== undefined);
    }
  }

  #count(started: boolean): void {
    this.#failedStarts = started || this.#listening.size > 0 ? 0 : this.#failedStarts + 1;
    if (this.#failedStarts >= FAILED_STARTS_MAX)
      this.#stop.resolve('No API process can be started. The processes printed the reason above.');
  }
}
