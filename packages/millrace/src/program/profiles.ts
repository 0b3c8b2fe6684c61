/**
 * The servers that a user calls. A key lies only in the file of the profiles, which only the user can read, or in MILLRACE_API_KEY:
 * an argument would be visible to every user of the machine in the list of processes.
 */
import { mkdir, open, readFile, rename, rm } from 'node:fs/promises';
import { homedir } from 'node:os';
import path from 'node:path';
import { CommandError, EXIT } from './exit-codes.ts';

export interface Profile {
  url: string;
  apiKey?: string;
}

export interface Profiles {
  current: string | null;
  profiles: Record<string, Profile>;
}

const NAME = /^[a-zA-Z0-9][a-zA-Z0-9._-]{0,62}$/;
const DEFAULT_URL = 'http://127.0.0.1:8080';

export const profilesFile = (env: NodeJS.ProcessEnv): string =>
  path.join(env.XDG_CONFIG_HOME || path.join(env.HOME || homedir(), '.config'), 'millrace', 'profiles.json');

export async function readProfiles(env: NodeJS.ProcessEnv): Promise<Profiles> {
  const file = profilesFile(env);
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return { current: null, profiles: {} };
    throw new CommandError(`${file} cannot be read (${(error as Error).message}). Correct the rights of the file.`);
  }
  try {
    return profilesIn(JSON.parse(text));
  } catch {
    throw new CommandError(`${file} is no file of profiles. Correct or remove the file.`);
  }
}

/** Reads the members of the file. Names are data: a profile may be named like a member of every object. */
function profilesIn(value: Partial<Profiles>): Profiles {
  const { current = null, profiles = {} } = value;
  const entries = Object.entries(profiles).map(([name, { url, apiKey }]): [string, Profile] => {
    if (typeof url !== 'string') throw new TypeError(name);
    return [name, typeof apiKey === 'string' ? { url, apiKey } : { url }];
  });
  return { current, profiles: Object.assign(Object.create(null), Object.fromEntries(entries)) };
}

/** Replaces the file as a whole, so that a kill leaves the old or the new file. */
export async function writeProfiles(env: NodeJS.ProcessEnv, profiles: Profiles): Promise<void> {
  const file = profilesFile(env);
  await mkdir(path.dirname(file), { recursive: true, mode: 0o700 });
  const next = `${file}.${process.pid}`;
  await rm(next, { force: true });
  const handle = await open(next, 'wx', 0o600);
  try {
    await handle.writeFile(`${JSON.stringify(profiles, undefined, 2)}\n`);
    await handle.sync();
  } finally {
    await handle.close();
  }
  await rename(next, file);
}

export function requireProfileName(name: string): void {
  if (NAME.test(name)) return;
  throw new CommandError(
    `'${name}' is not a valid name of a profile. Expected at most 63 letters, digits, '.', '_' and '-', with a letter or digit first.`,
    EXIT.usage,
  );
}

/** Returns the base URL. Throws for text that is no http URL, and for a URL with a password: lists and logs show URLs. */
export function requireUrl(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined || !/^https?:$/.test(url.protocol))
    throw new CommandError(
      `'${text}' is not a URL of a server. Expected such as https://millrace.example.`,
      EXIT.usage,
    );
  if (url.username || url.password || url.search || url.hash)
    throw new CommandError(
      'The URL of a server has no user, query or fragment. Pass the key in MILLRACE_API_KEY.',
      EXIT.usage,
    );
  return text.replace(/\/+$/, '');
}

export interface Target extends Profile {
  /** The name of the profile; null for a URL without a profile. */
  profile: string | null;
}

interface TargetOptions {
  url?: string;
  profile?: string;
}

/**
 * Chooses the server of a command: --url, --profile, MILLRACE_URL, MILLRACE_PROFILE, the current profile, or this machine. The key of
 * a profile goes only to the URL of the profile.
 */
export async function chooseTarget(env: NodeJS.ProcessEnv, options: TargetOptions): Promise<Target> {
  const fromEnv = env.MILLRACE_API_KEY ? { apiKey: env.MILLRACE_API_KEY } : {};
  if (options.url !== undefined) return { url: requireUrl(options.url), ...fromEnv, profile: null };
  if (options.profile === undefined && env.MILLRACE_URL)
    return { url: requireUrl(env.MILLRACE_URL), ...fromEnv, profile: null };
  const { current, profiles } = await readProfiles(env);
  const name = options.profile ?? (env.MILLRACE_PROFILE || current);
  if (name === null) return { url: DEFAULT_URL, ...fromEnv, profile: null };
  const profile = profiles[name];
  if (profile === undefined) {
    const names = Object.keys(profiles);
    throw new CommandError(
      `There is no profile '${name}'${names.length > 0 ? `, only ${names.join(', ')}` : ''}. Add the profile: millrace profiles add ${name} URL`,
      EXIT.usage,
    );
  }
  return { ...fromEnv, ...profile, profile: name };
}
