/**
 * The log of a process: JSON lines on standard output. During an outage equal warnings come thousands of times a minute, and a line
 * with a stack costs more than the refusal that the line reports. So of equal warnings and errors the first lines of a minute are
 * written, and one line at the end of the minute counts the others.
 */
import pino, { type LogFn, type Logger } from 'pino';
import { loggedError } from './logged-error.ts';

const WINDOW_MS = 60_000;
/** Lines of one kind in a minute: same message, code and model. */
const LINES_OF_KIND = 5;
/** Lines of all kinds in a minute, and the lines that count the others. */
const LINES = 40;
const SUMMARIES = 15;
const [WARN, ERROR] = [40, 50];
/** The fields of the last omitted line that its summary repeats. */
const REPEATED = ['code', 'model', 'version', 'tenant', 'reason', 'slot', 'store', 'endpoint', 'id', 'reqId'] as const;

export interface LogParams {
  /** The name of the process, in each line. */
  name: string;
  level: string;
  /** Default: standard output, synchronous. */
  destination?: pino.DestinationStream;
}

export function createLog({ name, level, destination }: LogParams): Logger {
  const limit = new LineLimit();
  return pino(
    {
      level,
      base: { process: name, pid: process.pid },
      serializers: { err: (error: unknown) => loggedError(error) },
      redact: ['req.headers.authorization', 'headers.authorization', 'secret', '*.secret'],
      hooks: {
        logMethod(args, method, lineLevel) {
          if (lineLevel !== WARN && lineLevel !== ERROR) return method.apply(this, args);
          limit.write(this, args, method);
        },
      },
    },
    // Synchronous: pino's default writes in the background, and at exit retries forever to write the rest. When the reader of
    // the log was killed (a launcher, a log collector), the process would never exit.
    destination ?? pino.destination({ fd: 1, sync: true }),
  );
}

type Args = Parameters<LogFn>;

interface Kind {
  lines: number;
  omitted: number;
  last: { logger: Logger; fields: Record<string, unknown>; message: string; method: LogFn } | undefined;
}

class LineLimit {
  readonly #kinds = new Map<string, Kind>();
  #lines = 0;
  #timer: NodeJS.Timeout | undefined;

  write(logger: Logger, args: Args, method: LogFn): void {
    const [first, second]: readonly unknown[] = args;
    const message = String(typeof first === 'string' ? first : (second ?? ''));
    const fields: Record<string, unknown> = typeof first === 'object' && first !== null ? { ...first } : {};
    const kind = this.#kindOf(message, fields);
    this.#timer ??= setTimeout(() => this.#endWindow(), WINDOW_MS).unref();
    if (kind.lines < LINES_OF_KIND && this.#lines < LINES) {
      kind.lines += 1;
      this.#lines += 1;
      method.apply(logger, args);
      return;
    }
    kind.omitted += 1;
    kind.last = { logger, fields, message, method };
  }

  #kindOf(message: string, { code, model }: Record<string, unknown>): Kind {
    // Numbers in a message do not make a new kind. A flood of kinds shares one kind.
    const text = `${message.slice(0, 120).replaceAll(/\d+/g, '#')} ${String(code)} ${String(model)}`;
    const name = this.#kinds.has(text) || this.#kinds.size < LINES ? text : '';
    const kind = this.#kinds.get(name) ?? { lines: 0, omitted: 0, last: undefined };
    this.#kinds.set(name, kind);
    return kind;
  }

  #endWindow(): void {
    this.#timer = undefined;
    this.#lines = 0;
    const kinds = [...this.#kinds.values()].filter(({ omitted }) => omitted > 0);
    this.#kinds.clear();
    kinds.sort((a, b) => b.omitted - a.omitted);
    const others = kinds.splice(SUMMARIES).reduce((sum, { omitted }) => sum + omitted, 0);
    for (const [at, { last, omitted }] of kinds.entries()) {
      if (last === undefined) continue;
      const repeated = Object.fromEntries(
        REPEATED.filter((name) => last.fields[name] !== undefined).map((name) => [name, last.fields[name]]),
      );
      last.method.call(
        last.logger,
        { ...repeated, left_out: omitted, ...(at === 0 && others > 0 ? { left_out_of_others: others } : {}) },
        `${last.message} (more such lines)`,
      );
    }
  }
}

/** Returns a function that switches between the level of the settings and `debug`. */
export function levelSwitch(log: Logger): () => void {
  const usual = log.level;
  const other = usual === 'debug' || usual === 'trace' ? 'info' : 'debug';
  return () => {
    log.level = log.level === usual ? other : usual;
    log.warn({ level: log.level }, 'the log level was changed by SIGUSR2');
  };
}
