/** What every command of a server gets: the client, the output and the interruption. */
import { Millrace } from '@millrace/client';
import type { Command } from 'commander';
import { Output } from './output.ts';
import { chooseTarget, type Target } from './profiles.ts';

export interface Context {
  millrace: Millrace;
  target: Target;
  out: Output;
  /** Aborted at the first Ctrl-C. */
  signal: AbortSignal;
}

interface GlobalOptions {
  json?: boolean;
  url?: string;
  profile?: string;
}

/** Adds the options that every command of a server has. */
export function withServer(command: Command): Command {
  return command
    .option('--json', 'print the result as JSON')
    .option('--profile <name>', 'use the server and the key of a profile')
    .option('--url <url>', 'use the server at this URL, with the key in MILLRACE_API_KEY');
}

/** Creates the context of a command from its options and the environment. */
export async function openContext(options: object): Promise<Context> {
  const { json, ...server }: GlobalOptions = options;
  const { stdout, stderr, env } = process;
  const out = new Output({ stdout, stderr, env });
  out.json = json === true;
  const target = await chooseTarget(env, server);
  const millrace = new Millrace({
    baseUrl: target.url,
    apiKey: target.apiKey,
    headers: { 'user-agent': 'millrace-cli' },
  });
  return { millrace, target, out, signal: interruption() };
}

/** Aborted at the first SIGINT or SIGTERM. The second signal ends the process. */
function interruption(): AbortSignal {
  const controller = new AbortController();
  for (const name of ['SIGINT', 'SIGTERM'] as const)
    process.on(name, () => {
      if (controller.signal.aborted) process.exit(130);
      controller.abort(name);
    });
  return controller.signal;
}
