/** The generated passwords of the private servers. */
import { randomBytes } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { errorCode } from './process/error-code.ts';

/**
 * The password of the private servers in `dir`, created at the first call. The servers listen on the loopback address,
 * which every other user of the machine can reach as well.
 */
export async function localPassword(dir: string): Promise<string> {
  const file = path.join(dir, 'password');
  try {
    return (await readFile(file, 'utf8')).trim();
  } catch (error) {
    if (errorCode(error) !== 'ENOENT') throw error;
  }
  const password = randomBytes(24).toString('hex');
  await writeFile(file, `${password}\n`, { mode: 0o600 });
  return password;
}
