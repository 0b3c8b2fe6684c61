import { execFile } from 'node:child_process';
import { readdir, readFile, readlink } from 'node:fs/promises';
import { promisify } from 'node:util';

/** Id and command line of all processes that have `text` in their command line, environment or directory. */
export async function processesWith(text: string): Promise<string[]> {
  if (process.platform !== 'linux') {
    const { stdout } = await promisify(execFile)('ps', ['eww', '-ax', '-o', 'pid=,command=']);
    return stdout
      .split('\n')
      .map((line) => line.trim())
      .filter((line) => line.includes(text) && !line.includes(' ps eww'));
  }
  const ids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid);
  const commands = await Promise.all(ids.map((id) => commandWith(text, id)));
  return commands.filter((command) => command !== undefined);
}

async function commandWith(text: string, id: string): Promise<string | undefined> {
  const folder = `/proc/${id}`;
  // A process that has ended meanwhile or belongs to another user is skipped.
  const [command, environment, directory] = await Promise.all([
    readFile(`${folder}/cmdline`, 'utf8').catch(() => ''),
    readFile(`${folder}/environ`, 'utf8').catch(() => ''),
    readlink(`${folder}/cwd`).catch(() => ''),
  ]);
  return `${command}\n${environment}\n${directory}`.includes(text)
    ? `${id} ${command.replaceAll('\0', ' ')}`
    : undefined;
}
