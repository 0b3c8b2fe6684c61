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

/** Characters between two columns. */
const GAP = 2;
/** No column is cut below this width. */
const MIN_WIDTH = 8;
/** Columns of a terminal that does not report its width. */
const DEFAULT_COLUMNS = 80;

/** The date and the time of a moment in the zone of this machine. The Swedish form is YYYY-MM-DD hh:mm:ss. */
const localTime = (moment: Date): [date: string, time: string] => {
  const [date = '', time = ''] = moment.toLocaleString('sv-SE').split(' ');
  return [date, time];
};

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

  /** A moment. A terminal gets the time of the reader's zone, with the date if it is not today; a pipe gets ISO 8601 with milliseconds. */
  time(iso: string): string {
    if (!this.isTerminal) return iso;
    const [date, time] = localTime(new Date(iso));
    return date === localTime(new Date())[0] ? time : `${date} ${time}`;
  }

  /**
   * Aligns rows in columns. A terminal gets a bold head, the colours of the column STATUS, no empty column, and lines as wide as
   * the terminal at most: the widest columns are cut, but never STATUS nor the first, which names the row. A pipe gets every column and the whole text.
   */
  table(head: readonly string[], rows: readonly (readonly string[])[]): string {
    const cells = rows.map((row) => row.map((cell) => harmless(cell).replaceAll('\n', ' ')));
    const shown = head.map((_, at) => at).filter((at) => !this.isTerminal || cells.some((row) => row[at] !== ''));
    const statusAt = head.indexOf('STATUS');
    const table = new Table({
      head: shown.map((at) => this.color.bold(head[at]!)),
      chars: EMPTY_BORDER,
      style: { head: [], border: [], 'padding-left': 0, 'padding-right': GAP },
      colWidths: this.#widths(
        shown.map((at) => ({
          texts: [head[at]!, ...cells.map((row) => row[at]!)],
          whole: at === 0 || at === statusAt,
        })),
      ),
    });
    for (const row of cells) table.push(shown.map((at) => (at === statusAt ? this.status(row[at]!) : row[at]!)));
    return table
      .toString()
      .split('\n')
      .map((line) => line.trimEnd())
      .join('\n');
  }

  /** The widths of columns that fit the terminal, with their gaps. Without a terminal no column has a limit. */
  #widths(columns: readonly { texts: readonly string[]; whole: boolean }[]): number[] {
    if (!this.isTerminal) return [];
    const widths = columns.map(({ texts }) => Math.max(...texts.map((text) => text.length)) + GAP);
    const cuttable = columns.flatMap(({ whole }, at) => (whole ? [] : [at]));
    let excess = widths.reduce((sum, width) => sum + width, 0) - GAP - (this.#stdout.columns || DEFAULT_COLUMNS);
    for (; excess > 0; excess--) {
      const widest = cuttable.reduce((a, b) => (widths[b]! > widths[a]! ? b : a), cuttable[0] ?? 0);
      if (!cuttable.includes(widest) || widths[widest]! <= MIN_WIDTH) break;
      widths[widest]! -= 1;
    }
    return widths;
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
