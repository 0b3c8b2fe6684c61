/** All commands of the command line. */
import { readFileSync } from 'node:fs';
import { Command } from 'commander';
import { addBench } from './commands/bench.ts';
import { addCompletion } from './commands/completion.ts';
import { addModels } from './commands/models.ts';
import { addList, addPredict, addPredictions } from './commands/predict.ts';
import { addProfiles } from './commands/profiles.ts';
import { addQueue } from './commands/queue.ts';
import { addTypes } from './commands/types.ts';
import { addWebhooks } from './commands/webhooks.ts';
import { addLocalCommands } from './local-commands.ts';
import { reportError } from './program/failure.ts';
import { Output } from './program/output.ts';

const { version } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as {
  version: string;
};

export function createProgram(): Command {
  const program = new Command('millrace')
    .description('Serves ONNX models through a queue, and calls a running Millrace.')
    .version(version)
    .showSuggestionAfterError()
    .enablePositionalOptions()
    .addHelpText(
      'after',
      '\nExit codes: 0 success, 1 failure, 2 wrong usage, 75 try again. Documentation: docs/cli.md',
    );
  program.commandsGroup('Servers on this machine:');
  addLocalCommands(program);
  program.commandsGroup('Predictions:');
  addPredict(program);
  addPredictions(program);
  addList(program);
  program.commandsGroup('A running Millrace:');
  addModels(program);
  addWebhooks(program);
  addQueue(program);
  addBench(program);
  addTypes(program);
  program.commandsGroup('This command line:');
  addProfiles(program);
  addCompletion(program);
  for (const command of everyCommand(program))
    command.exitOverride().showHelpAfterError(`(millrace ${pathOf(command)}--help)`);
  return program;
}

function everyCommand(command: Command): Command[] {
  return [command, ...command.commands.flatMap(everyCommand)];
}

function pathOf(command: Command): string {
  return command.parent ? `${pathOf(command.parent)}${command.name()} ` : '';
}

/** Runs a command line. Resolves to the exit code; a command that runs servers exits by itself. */
export async function runProgram(args: readonly string[]): Promise<number> {
  try {
    await createProgram().parseAsync([...args], { from: 'user' });
    return Number(process.exitCode ?? 0);
  } catch (error) {
    const { stdout, stderr, env } = process;
    return reportError(error, { out: new Output({ stdout, stderr, env }), wantsJson: args.includes('--json') });
  }
}
