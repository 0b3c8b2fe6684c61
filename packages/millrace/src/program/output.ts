/** What a command prints: results on standard output, as text or JSON, and remarks on standard error. */
import { stripVTControlCharacters } from 'node:util';
import Table from 'cli-table3';
import pc from 'picocolors';
import yoctoSpinner from 'yocto-spinner';

type Colors = ReturnType<typeof pc.createColors>;

export interface OutputOptions {
  stdout: NodeJS.WriteStream;
  stderr: NodeJS.WriteStream;
  env: NodeJS.ProcessEnv;
}

/** NO_COLOR and FORCE_COLOR decide where they are set; otherwise only a terminal gets colours. */
function wantsColor(stream: NodeJS.WriteStream, env: NodeJS.ProcessEnv): boolean {
  if (env.NO_COLOR) return false;
  if (env.FORCE_COLOR) return env.FORCE_COLOR !== '0';
  return stream.isTTY === true && env.TERM !== 'dumb';
}

/** Text of a server or a user, without the control characters that could change the terminal. Line breaks stay. */
export const harmless = (text: string): string => stripVTControlCharacters(text).replace(/(?![\t\n])\p{Cc}/gu, '�');

/** A line on a terminal that changes until `stop` removes the line. */
export interface Progress {
  show(text: string): void;
  stop(): void;
}

export class Output {
  readonly #stdout: NodeJS.WriteStream;
  readonly #stderr: NodeJS.WriteStream;
  readonly color: Colors;
  /** Whether results are JSON. */
  json = false;

  constructor({ stdout, stderr, env }: OutputOptions) {
    this.#stdout = stdout;
    this.#stderr = stderr;
    this.color = pc.createColors(wantsColor(stdout, env));
    // A closed reader, such as `| head`, ends the command without an error.
    stdout.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'EPIPE') process.exit(0);
      throw error;
    });
  }

  /** Whether a person reads the results. */
  get isTerminal(): boolean {
    return this.#stdout.isTTY === true;
  }

  /** The height of the terminal; undefined without a terminal. */
  get rows(): number | undefined {
    return this.isTerminal ? this.#stdout.rows : undefined;
  }

  /** Prints a result: `value` as JSON, or the text. */
  result(value: unknown, text: () => string): void {
    this.#stdout.write(`${this.json ? JSON.stringify(value) : text()}\n`);
  }

  /** Prints text, unless results are JSON. */
  text(text: string): void {
    if (!this.json) this.#stdout.write(`${text}\n`);
  }

  /** Writes to the terminal without a line break. */
  write(text: string): void {
    this.#stdout.write(text);
  }

  /** Prints a remark that is no result. */
  note(text: string): void {
    this.#stderr.write(`${text}\n`);
  }

  /** Shows progress on a terminal; without a terminal nothing. */
  progress(text: string): Progress {
    const stream = this.#stderr;
    // Without a terminal the spinner would print each text as a line.
    if (!stream.isTTY || this.json) return { show() {}, stop() {} };
    const spinner = yoctoSpinner({ text, stream, handleSignals: false }).start();
    return {
      show(next) {
        spinner.text = harmless(next);
      },
      stop: () => void spinner.stop(),
    };
  }

  /** Aligns rows in columns. A terminal gets a bold head and the colours of the column STATUS; a pipe gets the same columns without colours. */
  table(head: readonly string[], rows: readonly (readonly string[])[]): string {
    const table = new Table({
      head: head.map((name) => this.color.bold(name)),
      chars: EMPTY_BORDER,
      style: { head: [], border: [], 'padding-left': 0, 'padding-right': 2 },
    });
    const statusAt = head.indexOf('STATUS');
    for (const row of rows) {
      const cells = row.map((cell) => harmless(cell).replaceAll('\n', ' '));
      table.push(cells.map((cell, at) => (at === statusAt ? this.status(cell) : cell)));
    }
    return table
      .toString()
      .split('\n')
      .map((line) => line.trimEnd())
      .join('\n');
  }

  /** The color of a status. */
  status(status: string): string {
    const { green, red, yellow, cyan } = this.color;
    if (['succeeded', 'delivered', 'ready', 'running'].includes(status)) return green(status);
    if (['failed', 'expired', 'rejected'].includes(status)) return red(status);
    return (status === 'queued' || status === 'pending' ? cyan : yellow)(status);
  }
}

const SIDES = ['', '-left', '-mid', '-right'];
const EMPTY_BORDER = Object.fromEntries([
  ...['top', 'bottom'].flatMap((place) => SIDES.map((side) => [place + side, ''])),
  ...['mid', 'left-mid', 'mid-mid', 'right-mid', 'left', 'right', 'middle'].map((place) => [place, '']),
]);
