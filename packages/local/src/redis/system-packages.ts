/** Installs a package with the system's package manager. */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

const run = promisify(execFile);

interface Manager {
  name: string;
  needsRoot: boolean;
  /** Runs before a second attempt: many images have no package lists. */
  refresh?: string[];
  install: (name: string) => string[];
}

const managers: Manager[] = [
  {
    name: 'apt-get',
    needsRoot: true,
    refresh: ['update', '-qq'],
    install: (name) => ['install', '-y', '-qq', '--no-install-recommends', '-o', 'DPkg::Lock::Timeout=60', name],
  },
  { name: 'dnf', needsRoot: true, install: (name) => ['install', '-y', '-q', name] },
  { name: 'apk', needsRoot: true, refresh: ['update', '-q'], install: (name) => ['add', '-q', name] },
  { name: 'pacman', needsRoot: true, refresh: ['-Sy'], install: (name) => ['-S', '--noconfirm', '--needed', name] },
  { name: 'brew', needsRoot: false, install: (name) => ['install', '--quiet', name] },
];

/**
 * Installs the first of `names` that the package manager of this system has, when no password is required. Returns a
 * description of the outcome. The caller checks whether the program exists now.
 */
export async function installPackage(names: string[], say: (message: string) => void): Promise<string> {
  const manager = await findManager();
  if (!manager) return 'no supported package manager was found';
  const prefix = manager.needsRoot ? await rootPrefix() : [];
  if (!prefix) return `${manager.name} needs root, and sudo requires a password`;
  say(`Installing a Redis server with ${manager.name}, once.`);
  for (const refresh of [false, true]) {
    if (refresh && manager.refresh) await attempt([...prefix, manager.name, ...manager.refresh]);
    for (const name of names) {
      if (await attempt([...prefix, manager.name, ...manager.install(name)]))
        return `${manager.name} installed ${name}`;
    }
    if (!manager.refresh) break;
  }
  return `${manager.name} could install none of ${names.join(', ')}`;
}

async function findManager(): Promise<Manager | undefined> {
  for (const manager of managers) {
    if (await attempt([manager.name, '--version'])) return manager;
  }
  return undefined;
}

/** The command prefix that runs a command as root without a password prompt. Undefined when there is no such prefix. */
async function rootPrefix(): Promise<string[] | undefined> {
  if (process.geteuid?.() === 0) return [];
  return (await attempt(['sudo', '-n', 'true'])) ? ['sudo', '-n'] : undefined;
}

async function attempt([command = '', ...args]: string[]): Promise<boolean> {
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  try {
    await run(command, args, { env, timeout: 300_000 });
    return true;
  } catch {
    return false;
  }
}
