/** `profiles`: the servers that the user calls, each with its key. */
import { text } from 'node:stream/consumers';
import type { Command } from 'commander';
import { CommandError, EXIT } from '../program/exit-codes.ts';
import { Output } from '../program/output.ts';
import { readProfiles, requireProfileName, requireUrl, writeProfiles } from '../program/profiles.ts';
import { readSecret } from '../program/read-secret.ts';

interface JsonOption {
  json?: boolean;
}

function outputOf({ json }: JsonOption): Output {
  const { stdout, stderr, env } = process;
  const out = new Output({ stdout, stderr, env });
  out.json = json === true;
  return out;
}

export function addProfiles(program: Command): void {
  const profiles = program.command('profiles').description('name servers and keep their keys in ~/.config/millrace');
  const withJson = (command: Command) => command.option('--json', 'print the result as JSON');
  withJson(profiles.command('list'))
    .description('list the profiles; keys are not printed')
    .action((options: JsonOption) => list(outputOf(options)));
  withJson(profiles.command('add <name> <url>'))
    .description('add or replace a profile; the key comes from the terminal or from standard input')
    .option('--no-key', 'the server needs no key')
    .action((name: string, url: string, options: JsonOption & { key: boolean }) =>
      add(outputOf(options), { name, url, hasKey: options.key }),
    );
  withJson(profiles.command('use <name>'))
    .description('make a profile the current profile')
    .action((name: string, options: JsonOption) => use(outputOf(options), name));
  withJson(profiles.command('remove <name>'))
    .description('remove a profile and its key')
    .action((name: string, options: JsonOption) => remove(outputOf(options), name));
}

async function list(out: Output): Promise<void> {
  const { current, profiles } = await readProfiles(process.env);
  const found = Object.entries(profiles).map(([name, { url, apiKey }]) => ({
    name,
    url,
    has_key: apiKey !== undefined,
    current: name === current,
  }));
  const rows = found.map((profile) => [
    profile.current ? `${profile.name} *` : profile.name,
    profile.url,
    profile.has_key ? 'yes' : 'no',
  ]);
  out.result(found, () =>
    rows.length > 0
      ? out.table(['PROFILE', 'URL', 'KEY'], rows)
      : 'There are no profiles. Add a profile: millrace profiles add NAME URL',
  );
}

async function add(out: Output, { name, url, hasKey }: { name: string; url: string; hasKey: boolean }): Promise<void> {
  requireProfileName(name);
  const base = requireUrl(url);
  const apiKey = hasKey ? await readKey() : '';
  const { current, profiles } = await readProfiles(process.env);
  profiles[name] = { url: base, ...(apiKey ? { apiKey } : {}) };
  await writeProfiles(process.env, { current: current ?? name, profiles });
  if (apiKey && isOpenNetwork(base)) out.note(`${base} is not encrypted: the key is readable on the way.`);
  out.result(
    { name, url: base, has_key: apiKey !== '', current: (current ?? name) === name },
    () => `${name} is ${base}`,
  );
}

async function readKey(): Promise<string> {
  const { stdin, stderr } = process;
  const key = stdin.isTTY
    ? await readSecret('API key (empty for none): ', { stdin, stderr })
    : (await text(stdin)).trim();
  if (/^[\x21-\x7e]*$/.test(key)) return key;
  throw new CommandError('The key has characters that no API key has. Pass a key such as mrk_....', EXIT.usage);
}

const isOpenNetwork = (url: string): boolean =>
  url.startsWith('http:') && !/^(localhost|127\.\d+\.\d+\.\d+|\[::1\])$/.test(new URL(url).hostname);

async function use(out: Output, name: string): Promise<void> {
  const { profiles } = await readProfiles(process.env);
  if (profiles[name] === undefined) throw unknown(name, profiles);
  await writeProfiles(process.env, { current: name, profiles });
  out.result({ name, current: true }, () => `${name} is the current profile`);
}

async function remove(out: Output, name: string): Promise<void> {
  const { current, profiles } = await readProfiles(process.env);
  if (profiles[name] === undefined) throw unknown(name, profiles);
  delete profiles[name];
  await writeProfiles(process.env, { current: current === name ? null : current, profiles });
  out.result({ name, removed: true }, () => `${name} is removed`);
}

function unknown(name: string, profiles: object): CommandError {
  const names = Object.keys(profiles);
  return new CommandError(
    `There is no profile '${name}'${names.length > 0 ? `, only ${names.join(', ')}` : ''}.`,
    EXIT.usage,
  );
}
