import path from 'node:path';
import type { Guard } from '@millrace/local/process/guard';
import { startNodeProgram } from '@millrace/local/process/node-program';
import type { Part } from '@millrace/local/process/part';
import { StartError } from '@millrace/local/process/start-error';
import { nodeArgs } from '../launcher/node-args.mjs';
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
 * Starts apps/<name>/src/main.ts on the Node of this process. `onRecord` receives every log record, also a record that the
 * terminal does not show.
 */
export function startProgram(name: 'api' | 'worker', options: ProgramOptions, onRecord?: OnRecord): Promise<Part> {
  return startNodeProgram(options.guard, {
    name,
    root: options.root,
    file: `apps/${name}/src/main.ts`,
    nodeArgs,
    env: options.env,
    logFile: path.join(options.dir, 'logs', `${name}.log`),
    onLine: (line) => {
      const text = terminalLine(name, line);
      if (text !== undefined) options.show(text);
      const record = onRecord && parseRecord(line);
      if (record) onRecord?.(record);
    },
  });
}

/** Rejects when a part ends. The error names the log of the part. */
export async function untilOneEnds(parts: Part[], logs: string): Promise<never> {
  const { name, exit } = await Promise.race(parts.map(async (part) => ({ name: part.name, exit: await part.exited })));
  const how = exit.signal ? `was ended by ${exit.signal}` : `ended with code ${exit.code}`;
  throw new StartError(`${name} ${how}, so Millrace stops. Read ${path.relative(process.cwd(), logs)}/${name}.log.`);
}
