import { existsSync } from 'node:fs';
import { chown, readFile, stat } from 'node:fs/promises';
import path from 'node:path';
import { StartError } from '../process/start-error.ts';

/** As whom to run Postgres, which refuses to run as root. */
export interface Account {
  /** Gives a file or directory to the account. */
  own(file: string): Promise<void>;
  /** What to spawn to run `command` as the account. */
  wrap(command: string, args: string[]): { command: string; args: string[]; uid?: number; gid?: number };
}

const setpriv = '/usr/bin/setpriv';

/**
 * The account that can run programs of `programDir` on data in `dataDir`. For anyone but root that is who they are.
 * For root it is `nobody`, which every system has, so that none need be created. A folder such as /root, closed to
 * `nobody`, stays closed: setpriv (of util-linux) then leaves Postgres the one capability to pass through.
 */
export async function postgresAccount(programDir: string, dataDir: string): Promise<Account> {
  if (process.geteuid?.() !== 0) {
    return { own: async () => {}, wrap: (command, args) => ({ command, args }) };
  }
  const { uid, gid } = await nobody();
  const own = (file: string) => chown(file, uid, gid);
  if ((await isOpen(programDir)) && (await isOpen(path.dirname(dataDir)))) {
    return { own, wrap: (command, args) => ({ command, args, uid, gid }) };
  }
  if (process.platform !== 'linux' || !existsSync(setpriv)) {
    throw new StartError(
      `Postgres will not run as root, and user nobody cannot enter this folder: start Millrace as another user or from a folder that all can read, or set DATABASE_URL.`,
    );
  }
  // no_setuid_fixup: access(2), by which initdb looks for its program, otherwise forgets the capability.
  const flags = [
    `--reuid=${uid}`,
    `--regid=${gid}`,
    '--clear-groups',
    '--inh-caps=-all,+dac_override',
    '--ambient-caps=-all,+dac_override',
    '--securebits=+no_setuid_fixup',
  ];
  return { own, wrap: (command, args) => ({ command: setpriv, args: [...flags, command, ...args] }) };
}

async function nobody(): Promise<{ uid: number; gid: number }> {
  const line = (await readFile('/etc/passwd', 'utf8')).split('\n').find((entry) => entry.startsWith('nobody:'));
  const [, , uid, gid] = line?.split(':') ?? [];
  if (!uid || !gid)
    throw new StartError('Postgres will not run as root, and there is no user nobody: set DATABASE_URL.');
  // macOS writes nobody as -2, and means the unsigned number.
  return { uid: Number(uid) >>> 0, gid: Number(gid) >>> 0 };
}

/** Whether every directory on the way lets others through. */
async function isOpen(directory: string): Promise<boolean> {
  for (let at = directory; ; at = path.dirname(at)) {
    if (((await stat(at)).mode & 0o001) === 0) return false;
    if (at === path.dirname(at)) return true;
  }
}
