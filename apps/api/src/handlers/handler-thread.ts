/** Starts a handler thread, loads handlers into the thread, and runs inputs there. Ends the thread when an input takes too long. */
import { getCompileCacheDir } from 'node:module';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import { siblingModule } from '@millrace/shared/process/sibling-module';
import {
  type FromThread,
  type HandlerSource,
  PROGRESS_BYTES,
  type Progress,
  progressOf,
  type RowResult,
  type ToThread,
} from './messages.ts';

/** Rows of an entity in one message. */
const ROWS_AT_ONCE = 1_000;
/** The time limit of the start of a thread and of the load of a handler. */
const LOAD_MS = 120_000;
const NS_PER_MS = 1_000_000n;
/** An input that waits uses no processor time. Its duration may be this multiple of the limit of processor time. */
const WAIT_LIMITS = 12;
/** The shortest time between two checks of a thread. */
const LOOK_MS = 20;

/** Results of the first inputs. `stopped` is the reason why the next input has no result: the thread has ended. */
export interface RunEnd {
  results: readonly RowResult[];
  /** The processor time of the results. */
  cpuMs: number;
  stopped?: { at: number; why: 'time' | 'ended'; detail: string };
}

/** The thread ended during the load of a handler. */
export class ThreadEndedError extends Error {
  override name = 'ThreadEndedError';
}

/** The checks of a run whose inputs can take too long. */
interface Watch {
  timer: NodeJS.Timeout | undefined;
  /** Whether the run has ended. */
  isOver: boolean;
  /** Whether an input took too long, so that the thread was ended. */
  isLate: boolean;
}

export interface HandlerThreadParams {
  /** The processor time of one input. */
  limitMs: number;
  /** The most memory of the JavaScript objects of the thread. */
  memoryMb: number;
}

function reasonOf(error: unknown, memoryMb: number): string {
  if (!(error instanceof Error)) return String(error);
  if (!('code' in error) || error.code !== 'ERR_WORKER_OUT_OF_MEMORY') return error.message;
  return `the handlers and tokenizers of a thread need more than ${memoryMb} MiB of memory: raise HANDLER_MEMORY`;
}

export class HandlerThread {
  readonly #worker: Worker;
  readonly #progress: Progress;
  readonly #limitMs: number;
  readonly #loaded = new Set<string>();
  #settle: ((reply: FromThread | undefined) => void) | undefined;
  #ended = false;
  #whyEnded = 'the thread ended';
  /** Whether the thread must end after its current work: a handler of the thread is no longer served. */
  isStale = false;

  constructor({ limitMs, memoryMb }: HandlerThreadParams) {
    this.#limitMs = limitMs;
    const shared = new SharedArrayBuffer(PROGRESS_BYTES);
    const compiled = getCompileCacheDir();
    this.#progress = progressOf(shared);
    this.#worker = new Worker(siblingModule(import.meta.url, './thread-program'), {
      name: 'handlers',
      workerData: shared,
      // A handler needs no settings of the API, and some settings are secrets. Without the compile cache a thread compiles all its modules, and
      // loads Node's program that removes types: 12 MiB of the API process, of which 7 stay when the thread ends.
      env: compiled === undefined ? {} : { NODE_COMPILE_CACHE: compiled },
      execArgv: ['--no-warnings'],
      resourceLimits: { maxOldGenerationSizeMb: memoryMb },
    });
    this.#worker.unref();
    this.#worker.on('message', (reply: FromThread) => this.#reply(reply));
    this.#worker.on('error', (error) => {
      this.#whyEnded = reasonOf(error, memoryMb);
    });
    this.#worker.on('exit', () => {
      this.#ended = true;
      this.#reply(undefined);
    });
  }

  get ended(): boolean {
    return this.#ended;
  }

  has(key: string): boolean {
    return this.#loaded.has(key);
  }

  /** Loads a handler with its entities. Rejects with the error of the handler, or with ThreadEndedError. */
  async load({ key, handler, entities }: HandlerSource): Promise<void> {
    if (this.#loaded.has(key)) return;
    for (const [entity, rows] of Object.entries(entities)) {
      for (let at = 0; at < rows.length; at += ROWS_AT_ONCE) {
        this.#send({ kind: 'entities', key, entity, rows: rows.slice(at, at + ROWS_AT_ONCE) });
        await nextTurn();
      }
    }
    const timer = setTimeout(() => this.#kill(`the load took longer than ${LOAD_MS} ms`), LOAD_MS);
    try {
      const reply = await this.#request({ kind: 'load', key, handler });
      if (reply === undefined) throw new ThreadEndedError(this.#whyEnded);
      if (reply.kind === 'not loaded')
        throw Object.assign(new Error(reply.message), { stack: reply.stack || reply.message });
      this.#loaded.add(key);
    } finally {
      clearTimeout(timer);
    }
  }

  /** Runs inputs until the turn of the thread ends. Never rejects. */
  async run(key: string, inputs: readonly unknown[]): Promise<RunEnd> {
    this.#progress.startedAt[0] = process.hrtime.bigint();
    this.#progress.input[0] = 0;
    const watch = this.#watch();
    const reply = await this.#request({ kind: 'run', key, inputs });
    watch.isOver = true;
    clearTimeout(watch.timer);
    if (reply?.kind === 'ran') return { results: reply.results, cpuMs: reply.cpuMs };
    const at = Atomics.load(this.#progress.input, 0);
    return { results: [], cpuMs: 0, stopped: { at, why: watch.isLate ? 'time' : 'ended', detail: this.#whyEnded } };
  }

  /** Ends the thread when an input takes too long. */
  #watch(): Watch {
    const watch: Watch = { timer: undefined, isOver: false, isLate: false };
    const lookAfter = (ms: number): void => {
      watch.timer = setTimeout(() => {
        void this.#leftMs(watch).then((leftMs) => {
          if (leftMs !== undefined) lookAfter(leftMs);
        });
      }, ms);
    };
    lookAfter(this.#limitMs);
    return watch;
  }

  /** The time until the next check. Undefined if the run has ended, or if the thread was ended because an input took too long. */
  async #leftMs(watch: Watch): Promise<number | undefined> {
    const leftMs = this.#limitMs - this.#ranMs();
    if (leftMs > 0) return leftMs;
    // Other processes can take the cores, so the processor time decides. A handler that waits uses no processor time.
    const usedMs = await this.#usedMs();
    if (watch.isOver) return undefined;
    const waitedMs = this.#ranMs();
    if (usedMs >= this.#limitMs || waitedMs >= WAIT_LIMITS * this.#limitMs) {
      const waits =
        usedMs < this.#limitMs ? `waited longer than ${WAIT_LIMITS * this.#limitMs}` : `longer than ${this.#limitMs}`;
      watch.isLate = true;
      this.#kill(`${waits} ms`);
      return undefined;
    }
    return Math.max(LOOK_MS, Math.min(this.#limitMs - usedMs, WAIT_LIMITS * this.#limitMs - waitedMs));
  }

  /** The processor time of the current input. */
  async #usedMs(): Promise<number> {
    try {
      const { user, system } = await this.#worker.cpuUsage();
      return (user + system - Number(Atomics.load(this.#progress.cpuAt, 0))) / 1_000;
    } catch {
      // The thread has ended.
      return 0;
    }
  }

  end(): Promise<unknown> {
    return this.#worker.terminate();
  }

  /** The time of the current input. The clock of `hrtime` is the same in all threads of a process. */
  #ranMs(): number {
    return Number((process.hrtime.bigint() - Atomics.load(this.#progress.startedAt, 0)) / NS_PER_MS);
  }

  #kill(why: string): void {
    this.#whyEnded = why;
    void this.#worker.terminate();
  }

  #send(message: ToThread): void {
    this.#worker.postMessage(message);
  }

  /** Resolves to undefined when the thread ends. */
  #request(message: ToThread): Promise<FromThread | undefined> {
    if (this.#ended) return Promise.resolve(undefined);
    const { promise, resolve } = Promise.withResolvers<FromThread | undefined>();
    this.#settle = resolve;
    this.#send(message);
    return promise;
  }

  #reply(reply: FromThread | undefined): void {
    const settle = this.#settle;
    this.#settle = undefined;
    settle?.(reply);
  }
}
