/** What the main file of each process does: start, run until told to stop, stop against a deadline, exit with a code. */
import pino, { type Logger } from 'pino';
import { type Config, ConfigError, loadConfig } from './config.ts';

export interface Running {
  /** Resolves to the names of parts that did not close in time. */
  close(deadlineMs: number): Promise<string[]>;
  /** Resolves, with the sentence for the operator, when the process must not go on. */
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
}

/** Never returns before the process ends. Exit codes: 0 stopped when asked, 1 could not start, broke, or must not go on. */
export async function runMain({ name, env, operatorErrors, start }: MainParams): Promise<void> {
  let config: Config;
  try {
    config = loadConfig(env);
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    process.stderr.write(`${error.message}\n`);
    process.exit(1);
  }
  const log = pino(
    {
      level: config.logLevel,
      base: { process: name, pid: process.pid },
      redact: ['req.headers.authorization', 'headers.authorization', 'secret', '*.secret'],
    },
    // Not pino's default, which writes in the background and at exit tries for ever to write what is left: with its
    // reader gone (a launcher or log collector that was killed), a process that was told to stop never would.
    pino.destination({ fd: 1, sync: true }),
  );
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
    // A part that hangs beyond its deadline does not keep the process: what it held is recovered by others.
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
    if (stopping) await running.close(config.shutdownMs);
    void running.mustStop?.then((reason) => {
      log.fatal(reason);
      void stop('none', 1);
    });
  } catch (error) {
    const { message } = error as Error;
    // What an operator can mend is one sentence; anything else is a bug and comes with its stack.
    if (isForOperator(error, operatorErrors)) process.stderr.write(`${message}\n`);
    else log.fatal({ err: error }, `${name} cannot start`);
    process.exit(1);
  }
}

function isForOperator(error: unknown, classes: MainParams['operatorErrors']): boolean {
  if (classes.some((one) => error instanceof one)) return true;
  const { code, name, message } = error as NodeJS.ErrnoException;
  return name === 'PlainError' || code === 'EADDRINUSE' || / cannot be reached: /.test(message);
}
