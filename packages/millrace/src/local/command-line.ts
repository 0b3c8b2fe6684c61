/** Parses the command line of a program with commands. An error states the fault and prints the usage. */
import { type ParseArgsConfig, parseArgs } from 'node:util';
import { nearNames } from '@millrace/shared/text/near-names';

/** An error that the user can correct. The program prints the message without a stack. */
export class Refusal extends Error {
  readonly exitCode: number;

  constructor(message: string, exitCode = 1) {
    super(message);
    this.exitCode = exitCode;
  }
}

export interface CommandLine {
  usage: string;
  /** The commands, each with the least and the greatest number of its arguments. */
  commands: Readonly<Record<string, { least: number; most: number }>>;
  options: Record<string, { type: 'string' } | { type: 'boolean' }>;
}

/** Returns the command, its arguments and its options; null for --help. Throws a Refusal with the usage. */
export function readCommandLine(
  { usage, commands, options }: CommandLine,
  args: readonly string[],
): { command: string; words: string[]; values: Partial<Record<string, string>>; flags: ReadonlySet<string> } | null {
  const refuse = (fault: string) => new Refusal(`${fault}\n${usage}`, 2);
  const help = { type: 'boolean', short: 'h' } as const;
  const config = { args: [...args], allowPositionals: true, options: { ...options, help } } satisfies ParseArgsConfig;
  let parsed: ReturnType<typeof parseArgs<typeof config>>;
  try {
    parsed = parseArgs(config);
  } catch (error) {
    throw refuse(`${(error as Error).message.split('. ')[0]}.`);
  }
  const { help: isHelp, ...values } = parsed.values;
  if (isHelp) return null;
  const [command, ...words] = parsed.positionals;
  if (command === undefined) throw refuse(`A command is needed: ${Object.keys(commands).join(', ')}.`);
  const form = Object.hasOwn(commands, command) ? commands[command] : undefined;
  if (!form) {
    const [near] = nearNames(command, Object.keys(commands), 1);
    throw refuse(
      `There is no command '${command}'${near ? `; did you mean ${near}?` : `, only ${Object.keys(commands).join(', ')}.`}`,
    );
  }
  if (words.length < form.least || words.length > form.most) {
    const many = form.least === form.most ? `${form.most}` : `${form.least} to ${form.most}`;
    const came = words.length > 0 ? `${words.length}: ${words.join(' ')}` : '0';
    throw refuse(`${command} takes ${many} argument${many === '1' ? '' : 's'}, got ${came}.`);
  }
  const given = Object.entries(values);
  return {
    command,
    words,
    values: Object.fromEntries(given.filter((entry): entry is [string, string] => typeof entry[1] === 'string')),
    flags: new Set(given.filter(([, value]) => value === true).map(([name]) => name)),
  };
}
