/** Starts the API and the worker, and starts a program again after it has died. */
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { Guard } from '@millrace/local/process/guard';
import { startNodeProgram } from '@millrace/local/process/node-program';
import type { Exit, Part } from '@millrace/local/process/part';
import { StartError } from '@millrace/local/process/start-error';
import { nodeArgs, nodeEnv } from '../../launcher/node-args.mjs';
import { type LogRecord, parseRecord, terminalLine } from './log-lines.ts';

export interface ProgramOptions {
  root: string;
  dir: string;
  guard: Guard;
  env: NodeJS.ProcessEnv;
  /** Prints a line of a program's log. */
  show: (line: string) => void;
}

type OnRecord = (record: LogRecord) => void;

/**
 * Starts the API or the worker on the Node of this process. `onRecord` receives every log record, also a record that the
 * terminal does not show.
 */
export function startProgram(name: 'api' | 'worker', options: ProgramOptions, onRecord?: OnRecord): Promise<Part> {
  return startNodeProgram(options.guard, {
    name,
    root: options.root,
    file: fileURLToPath(import.meta.resolve(`@millrace/${name}/main`)),
    nodeArgs,
    env: { ...nodeEnv, ...options.env },
    logFile: path.join(options.dir, 'logs', `${name}.log`),
    onLine: (line) => {
      const text = terminalLine(name, line);
      if (text !== undefined) options.show(text);
      const record = onRecord && parseRecord(line);
      if (record) onRecord?.(record);
    },
  });
}

const wordsOf = ({ code, signal }: Exit): string => (signal ? `was ended by ${signal}` : `ended with code ${code}`);

/** Rejects when a part ends. The error names the log of the part. */
export async function untilOneEnds(parts: Part[], logs: string): Promise<never> {
  const { name, exit } = await Promise.race(parts.map(async (part) => ({ name: part.name, exit: await part.exited })));
  throw new StartError(
    `${name} ${wordsOf(exit)}, so Millrace stops. Read ${path.relative(process.cwd(), logs)}/${name}.log.`,
  );
}

const FIRST_PAUSE_MS = 1_000;
const LONGEST_PAUSE_MS = 30_000;
/** A program that ran this long starts again after the first pause. */
const STEADY_MS = 60_000;

/** The API, the worker or a store. A program that dies starts again. */
export class RestartingProgram {
  readonly #start: () => Promise<Part>;
  readonly #stopping = new AbortController();
  #part: Part;

  /** `start` starts the program again after the end of `part`. */
  constructor(start: () => Promise<Part>, part: Part) {
    this.#start = start;
    this.#part = part;
  }

  static async start(start: () => Promise<Part>): Promise<RestartingProgram> {
    return new RestartingProgram(start, await start());
  }

  /** The process that runs now. */
  get part(): Part {
    return this.#part;
  }

  /** Starts the program again after each end, with growing pauses. Resolves after `stop`. */
  async keepRunning(say: (message: string) => void): Promise<void> {
    let pauseMs = FIRST_PAUSE_MS;
    for (;;) {
      const startedAt = performance.now();
      const how = await this.#part.exited.then(wordsOf);
      if (this.#stopping.signal.aborted) return;
      if (performance.now() - startedAt > STEADY_MS) pauseMs = FIRST_PAUSE_MS;
      say(`${this.#part.name} ${how}. It starts again in ${pauseMs / 1000} s; the other parts continue.`);
      await delay(pauseMs, undefined, { signal: this.#stopping.signal }).catch(() => {});
      if (this.#stopping.signal.aborted) return;
      pauseMs = Math.min(pauseMs * 2, LONGEST_PAUSE_MS);
      if (!(await this.#startAgain(say))) continue;
      if (this.#stopping.signal.aborted) await this.#part.stop();
    }
  }

  /** Returns false after a failed start. The process of the failed start, or the last process, has ended then. */
  async #startAgain(say: (message: string) => void): Promise<boolean> {
    try {
      this.#part = await this.#start();
      return true;
    } catch (error) {
      if (!(error instanceof StartError)) throw error;
      say(`${this.#part.name} did not start: ${error.message}`);
      return false;
    }
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#part.stop();
  }
}
