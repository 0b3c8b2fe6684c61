/** Reads the log lines that the processes of a stage have written since a moment. */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import type { LogLine } from './incident.ts';

export type Line = Readonly<Record<string, unknown>> & { time: number; msg: string; pid: number };

const WINDOW_MS = 60_000;

export class LogWatch {
  readonly #dir: string;
  readonly #pids: () => ReadonlySet<number>;

  constructor(dir: string, pids: () => ReadonlySet<number>) {
    this.#dir = dir;
    this.#pids = pids;
  }

  /** The lines since a moment (Date.now()). A text that is not JSON counts as a line without a message. */
  lines(kind: 'api' | 'worker', sinceMs: number): Line[] {
    const pids = this.#pids();
    return readFileSync(path.join(this.#dir, `${kind}.log`), 'utf8')
      .split('\n')
      .flatMap((text) => {
        if (!text.startsWith('{')) return [];
        // The first member is of the process. A line about an engine has the pid of the engine as well.
        const pid = Number(/"pid":(\d+)/.exec(text)?.[1]);
        const line = { ...(JSON.parse(text) as Line), pid };
        return pids.has(pid) && line.time >= sinceMs ? [line] : [];
      });
  }

  /** The most lines of a process in 60 s. */
  busiestMinute(sinceMs: number): { process: string; lines: number } {
    let busiest = { process: 'none', lines: 0 };
    for (const kind of ['api', 'worker'] as const) {
      const times = Map.groupBy(this.lines(kind, sinceMs), ({ pid }) => pid);
      for (const [pid, lines] of times) {
        const count = mostWithin(lines.map(({ time }) => time).sort((a, b) => a - b));
        if (count > busiest.lines) busiest = { process: `${kind} ${pid}`, lines: count };
      }
    }
    return busiest;
  }

  has({ process, message, fields }: LogLine, sinceMs: number): boolean {
    return this.lines(process, sinceMs).some(
      (line) =>
        line.msg.startsWith(message) &&
        Object.entries(fields).every(([name, wanted]) => {
          const value = String(line[name]);
          return typeof wanted === 'string' ? value === wanted : wanted.test(value);
        }),
    );
  }
}

function mostWithin(times: readonly number[]): number {
  let most = 0;
  let from = 0;
  for (const [at, time] of times.entries()) {
    while (time - (times[from] as number) >= WINDOW_MS) from += 1;
    most = Math.max(most, at - from + 1);
  }
  return most;
}
