/** Prevents two starts on one data folder. */
import { readFile, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { errorCode } from './error-code.ts';
import { commandOf, isAlive } from './processes.ts';
import { StartError } from './start-error.ts';

/**
 * Makes this process the only Millrace that runs on `dir`. Returns a function that releases the lock. A lock is taken
 * over when its process has ended or its process id belongs to another program now.
 */
export async function lockFolder(dir: string): Promise<() => Promise<void>> {
  const file = path.join(dir, 'lock');
  for (let attempt = 0; attempt < 3; attempt += 1) {
    try {
      await writeFile(file, `${process.pid}\n`, { flag: 'wx' });
      return () => rm(file, { force: true });
    } catch (error) {
      if (errorCode(error) !== 'EEXIST') throw error;
    }
    const pid = Number.parseInt(await readFile(file, 'utf8').catch(() => ''), 10);
    if (await isHolder(pid)) {
      throw new StartError(`Millrace already runs in this folder (process ${pid}). Stop that process first.`);
    }
    await rm(file, { force: true });
  }
  throw new StartError(`Millrace could not take ${file}: another start is taking it at the same moment.`);
}

async function isHolder(pid: number): Promise<boolean> {
  if (!(pid > 0) || pid === process.pid || !isAlive(pid)) return false;
  return /\bscripts[\\/]start\.|\bmillrace\b.* serve\b/.test(await commandOf(pid));
}
