/** Runs a process from its main.ts: starts the parts, stops them at a signal against a deadline, and exits with a code. */
import type { Logger } from 'pino';
import { type Config, ConfigError, loadConfig } from './config.ts';
import { letHeapGrow } from './heap-growth.ts';
import { releaseWhenIdle } from './idle-release.ts';
import { createLog, levelSwitch } from './log.ts';
import { watchEventLoop } from './loop-watch.ts';
import { releaseMemory } from './release-memory.ts';

export interface Running {
  /** Resolves to the names of parts that did not close in time. */
  close(deadlineMs: number): Promise<string[]>;
  /** Resolves with a sentence for the operator when the process must stop by itself. */
  readonly mustStop?: Promise<string>;
}

export interface MainParams {
  /** The name of the process, in each line of its log. */
  name: string;
  env: Readonly<Record<string, string | undefined>>;
  /** Errors that an operator can correct: the process prints their message without a stack. */
  operatorErrors: readonly (new (
    ...args: never[]
  ) => Error)[];
  start(config: Config, log: Logger): Promise<Running>;
  /** Whether the process releases all its memory when it is idle, with a pause of some 150 ms: see releaseMemory. Default: false. */
  releasesAll?: boolean;
}

/** Exit codes: 0 after a requested stop; 1 after a failed start, an unexpected error, or a stop by `mustStop`. */
export async function runMain({ name, env, operatorErrors, start, releasesAll = false }: MainParams): Promise<void> {
  letHeapGrow();
  let config: Config;
  try {
    config = loadConfig(env);
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    process.stderr.write(`${error.message}\n`);
    process.exit(1);
  }
  const log = createLog({ name, level: config.logLevel });
  process.on('SIGUSR2', levelSwitch(log));
  process.on('unhandledRejection', (error) => {
    log.fatal({ err: error }, 'unhandled rejection');
    process.exit(1);
  });
  process.on('uncaughtException', (error) => {
    log.fatal({ err: error }, 'uncaught exception');
    process.exit(1);
  });

  let running: Running | undefined;
  let stopping = false;
  const stop = async (signal: string, exitCode = 0) => {
    if (stopping) return;
    stopping = true;
    log.info({ signal }, 'stopping');
    // A part that hangs after the deadline does not keep the process alive. Other processes recover the part's work.
    setTimeout(() => process.exit(1), config.shutdownMs + 2_000).unref();
    const unfinished = (await running?.close(config.shutdownMs)) ?? [];
    if (unfinished.length > 0) log.warn({ unfinished }, 'not all parts closed in time');
    log.info('stopped');
    process.exit(exitCode);
  };
  process.on('SIGTERM', () => void stop('SIGTERM'));
  process.on('SIGINT', () => void stop('SIGINT'));
  try {
    running = await start(config, log);
    // Nothing waits for the process before: the modules that a start loads, and this pause, are no fault.
    releaseMemory({ full: true });
    watchEventLoop(log);
    releaseWhenIdle({ full: releasesAll });
    if (stopping) await running.close(config.shutdownMs);
    void running.mustStop?.then((reason) => {
      log.fatal(reason);
      void stop('none', 1);
    });
  } catch (error) {
    // An error that an operator can correct is printed as a sentence. Any other error is a bug and is logged with its stack.
    if (isForOperator(error, operatorErrors)) process.stderr.write(`${error.message}\n`);
    else log.fatal({ err: error }, `${name} cannot start`);
    process.exit(1);
  }
}

function isForOperator(error: unknown, classes: MainParams['operatorErrors']): error is Error {
  if (!(error instanceof Error)) return false;
  if (classes.some((known) => error instanceof known) || error.name === 'PlainError') return true;
  return ('code' in error && error.code === 'EADDRINUSE') || / cannot be reached: /.test(error.message);
}
