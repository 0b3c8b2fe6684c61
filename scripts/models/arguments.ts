/** What the command line of `npm run models` asks for, or what is wrong with it. */
import { parseArgs } from 'node:util';
import { nearNames } from '@millrace/shared/near-names';

const COMMANDS = ['list', 'check', 'add', 'promote', 'retire'] as const;
type Command = (typeof COMMANDS)[number];

export const USAGE = `usage: npm run models -- COMMAND
  list                                   models and versions, as the registry has them
  check [NAME[/VERSION]]                 load what the folder has in a limited engine, and say what is wrong with it
  add FILE --name NAME [--version V]     check a file and put it into the folder; running workers take it up
  promote NAME VERSION                   point the alias production at a version
  retire NAME VERSION                    take a version out of service for good

The folder is MODELS_DIR; the registry is in DATABASE_URL, and REDIS_URL is told of its changes. Where none of these is
set, they are those of the \`npm start\` that runs in this folder.`;

/** What the user can mend: printed without a stack. */
export class Refusal extends Error {}

interface Asked {
  command: Command;
  rest: string[];
  name: string | undefined;
  version: string | undefined;
}

/** What the command line asks for; undefined where it asks for help. Throws Refusal. */
export function asked(): Asked | undefined {
  const { positionals, values } = parse();
  const [command, ...rest] = positionals;
  if (values.help || command === 'help') return undefined;
  if (command === undefined) throw new Refusal(USAGE);
  if (!COMMANDS.includes(command as Command)) {
    const [near] = nearNames(command, COMMANDS, 1);
    throw new Refusal(`There is no command '${command}'${near ? `; did you mean ${near}?` : '.'}\n\n${USAGE}`);
  }
  const { name, version } = values;
  const [least, most, what] = ARGUMENTS[command as Command];
  if (rest.length < least || rest.length > most)
    throw new Refusal(`'${command}' takes ${what}, got ${rest.join(' ') || 'nothing'}.\n\n${USAGE}`);
  if (command === 'add' ? name === undefined : (name ?? version) !== undefined)
    throw new Refusal(
      `${command === 'add' ? "'add' needs --name NAME" : `'${command}' takes no --name or --version`}.\n\n${USAGE}`,
    );
  return { command: command as Command, rest, name, version };
}

/** Least and most arguments of each command, and what they are. */
const ARGUMENTS: Readonly<Record<Command, readonly [number, number, string]>> = {
  list: [0, 0, 'no arguments'],
  check: [0, 1, 'at most one argument, NAME or NAME/VERSION'],
  add: [1, 1, 'one argument, FILE'],
  promote: [2, 2, 'two arguments, NAME and VERSION'],
  retire: [2, 2, 'two arguments, NAME and VERSION'],
};

function parse() {
  try {
    return parseArgs({
      allowPositionals: true,
      options: { name: { type: 'string' }, version: { type: 'string' }, help: { type: 'boolean', short: 'h' } },
    });
  } catch (error) {
    throw new Refusal(`${(error as Error).message.split('. ')[0]}.\n\n${USAGE}`);
  }
}
