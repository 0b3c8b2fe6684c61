/** The commands that run on this machine and need no running API. */
import type { Command } from 'commander';
import { runLocal } from './local-command.ts';

const flags = ({ json }: { json?: boolean }): string[] => (json ? ['--json'] : []);

export function addLocalCommands(program: Command): void {
  program
    .command('serve')
    .description('start Redis, Postgres, an API and a worker on this machine; Ctrl-C ends all of them')
    .argument('[models]', 'the folder of the models', './models')
    .option('--port <port>', 'the port of the API (default: PORT, or 8080)')
    .option('--watch', 'serve an edited handler at once, as a version of its own')
    .action(async (models: string, { port, watch }: { port?: string; watch?: boolean }) => {
      if (port !== undefined) process.env.PORT = port;
      if (watch) process.env.WATCH_MODELS = 'true';
      await runLocal('serve', [models]);
    });
  program
    .command('api')
    .description('start an API process that uses the servers of REDIS_URL and DATABASE_URL')
    .action(() => runLocal('api', []));
  program
    .command('worker')
    .description('start a worker that uses the servers of REDIS_URL and DATABASE_URL')
    .action(() => runLocal('worker', []));
  program
    .command('migrate')
    .description('apply the missing migrations to the database of DATABASE_URL')
    .option('--json', 'print the result as JSON')
    .action((options: { json?: boolean }) => runLocal('migrate', flags(options)));
  program
    .command('init')
    .description('write a folder with an example model, docker-compose.yml, .env and a client')
    .argument('[folder]', 'the folder', '.')
    .option('--json', 'print the result as JSON')
    .action((folder: string, options: { json?: boolean }) => runLocal('init', [folder, ...flags(options)]));
  program
    .command('doctor')
    .description('check Redis, Postgres, versions, clocks, models and limits, and name the fix of each fault')
    .option('--json', 'print the result as JSON')
    .action((options: { json?: boolean }) => runLocal('doctor', flags(options)));
  passOn(program, 'keys').description('create, list and revoke API keys in the database of DATABASE_URL');
}

/** Adds a command that reads its own command line. */
export function passOn(program: Command, name: string): Command {
  const words = program.parent ? [program.name()] : [];
  return program
    .command(name)
    .helpOption(false)
    .allowUnknownOption()
    .argument('[arguments...]')
    .action((args: string[]) => runLocal(words[0] ?? name, words.length > 0 ? [name, ...args] : args));
}
