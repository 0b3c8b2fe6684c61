/** Selects the system account that runs the private Postgres. */
import { existsSync } from 'node:fs';
import { chown, readFile, stat } from 'node:fs/promises';
import path from 'node:path';
import { StartError } from '../process/start-error.ts';

/** The system account that runs Postgres, which refuses to run as root. */
export interface Account {
  /** Makes the account the owner of a file or directory. */
  own(file: string): Promise<void>;
  /** The arguments of `spawn` that run `command` as the account. */
  wrap(command: string, args: string[]): { command: string; args: string[]; uid?: number; gid?: number };
}

const setpriv = '/usr/bin/setpriv';

/**
 * The account that can run programs of `programDir` on data in `dataDir`. A user other than root runs Postgres itself.
 * Root runs Postgres as `nobody`, which exists on every system, so that no account is created. A folder that is closed
 * to `nobody`, such as /root, stays closed: setpriv (of util-linux) then leaves Postgres the single capability to pass
 * through.
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
      `Postgres does not run as root, and user nobody cannot enter this folder. Start Millrace as another user or from a folder that all users can read, or set DATABASE_URL.`,
    );
  }
  // access(2), which initdb uses to find its program, drops the capability without no_setuid_fixup.
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
    throw new StartError('Postgres does not run as root, and this system has no user nobody. Set DATABASE_URL.');
  // macOS writes the id of nobody as -2. The kernel uses the unsigned number.
  return { uid: Number(uid) >>> 0, gid: Number(gid) >>> 0 };
}

/** Whether every directory of the path lets other users pass through. */
async function isOpen(directory: string): Promise<boolean> {
  for (let at = directory; ; at = path.dirname(at)) {
    if (((await stat(at)).mode & 0o001) === 0) return false;
    if (at === path.dirname(at)) return true;
  }
}
